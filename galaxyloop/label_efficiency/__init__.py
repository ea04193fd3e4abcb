"""Does pretraining pay where labels are few? Arms, numbers of labels and draws, compared."""

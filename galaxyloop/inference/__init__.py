"""From a shard of cutouts to what the catalogue and the acquisition say of each galaxy."""

from galaxyloop.inference.shard import predict_shard

__all__ = ["predict_shard"]

"""How to hand a subject set to Zooniverse, as the README beside it says."""

import shlex
from collections.abc import Mapping

from galaxyloop.zooniverse.config import SubjectSetConfig

MEANINGS = {
    "file": "the picture, beside the manifest; the other columns are the subject's metadata",
    "#id_str": "the galaxy's id in the survey; by it the votes find their galaxy again",
    "!ra": "right ascension [ICRS, degrees], -999 if unknown",
    "!dec": "declination [ICRS, degrees], -999 if unknown",
    "#galaxyloop_model": "model that chose it",
    "#rank": "place in the ranked list of all candidates",
    "#information_nats": "what its votes would tell the model [nats]",
    "#most_informative_question": "question whose votes would tell most",
    "#votes_before": "volunteers who have classified the galaxy before, on any of its images",
    "#retirement_limit": "classifications wanted; Caesar can retire the subject after so many",
    "#image": "`original` image of the survey, or the model's `cutout`",
}
_USUAL_LIMIT = 100


def write_instructions(
    n_subjects: int, n_bytes: int, config: SubjectSetConfig, images: str, columns: Mapping[str, str]
) -> str:
    """The README of a subject set.

    Args:
        n_subjects: galaxies in it.
        n_bytes: of all pictures.
        config: name of the set, size of the pictures.
        images: which images are shown, in a sentence.
        columns: of the manifest.
    """
    limit = ""
    if n_subjects > _USUAL_LIMIT:
        limit = (
            f"\nA Zooniverse account may upload {_USUAL_LIMIT} subjects unless it was allowed "
            "more; ask Zooniverse for that first.\n"
        )
    meanings = "\n".join(f"| `{name}` | {MEANINGS[name]} |" for name in columns)
    return f"""# {config.name}

{n_subjects} galaxies to ask volunteers about, as a subject set for Zooniverse: JPEGs of
{config.image_size_px} px, {n_bytes / 1e6:.1f} MB. {images}

## Upload

```
pip install panoptescli
panoptes configure
panoptes subject-set create PROJECT_ID {shlex.quote(config.name)}
panoptes subject-set upload-subjects --file-column 1 SUBJECT_SET_ID manifest.csv
```

Run them in this folder; the third prints the SUBJECT_SET_ID. If the upload breaks off, run it
again: it goes on where it was. Then link the set to your workflow in the project builder.
{limit}
## What the manifest says

Volunteers never see keys that begin with `#`, and see those with `!` on Talk only.

| column | meaning |
|---|---|
{meanings}

## Bring the votes back

Export the workflow's classifications (project builder, Data Exports) and name them among the votes
of the next round or selection, with `subject_key: "#id_str"`.
"""

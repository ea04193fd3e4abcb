"""Lineage: which votes, images, code and settings made a catalogue, or a row of it."""

from flytekit import workflow

from tasks.registry import trace_lineage


@workflow
def trace_catalogue(product: str, id_str: str = "", output: str = "lineage") -> str:
    """Trace a catalogue back to its models, their trainings, and what those learnt from.

    Args:
        product: path or address of catalogue.parquet, labels.parquet or representations.parquet.
        id_str: galaxy whose row is traced, with its image; empty for the whole file.
        output: folder or address that receives the tree as lineage.txt, lineage.json, lineage.png.
    """
    text: str = trace_lineage(product=product, id_str=id_str, output=output)
    return text

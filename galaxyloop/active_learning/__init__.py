"""The loop played against votes that are there already: what does asking well save?"""

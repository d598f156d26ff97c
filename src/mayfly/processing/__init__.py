"""From one original to its renditions and facts.

The parent (which holds keys and stores) and the worker (which decodes strangers' bytes) are two processes:

    parent: recipe, limits, shared_body, sandbox, reply     imports neither libvips nor libheif
    worker: worker_main, cage, engine, decode, pipeline, facts, steps, containers
    both:   wire, stage
"""

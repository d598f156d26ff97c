"""What Mayfly costs, each figure beside its yardstick in one interleaved run.

`python -m benchmarks` runs all, `python -m benchmarks photo help` some. Loopback only; every folder is removed.

    __main__    which there are, and running them
    figures     a figure, its yardstick, its bound; the table
    upload photo memory backlog start help     one benchmark a file: `run(bench)` gives its figures
    bare        yardsticks: the least the disk and libvips can do
    server      a real server, its log, its processes
    machine     what the kernel says of processes
    client      HTTP without a framework
    photos      the pictures: painted, or yours (PHOTOS=folder)
"""

"""A worker takes jobs from a queue: what it does, how long it takes, how many wait.

python examples/worker.py    works through ten jobs and prints what was measured

Nothing is exported here: numbers can always be read where they were counted.
"""

from contextlib import suppress
from queue import Queue
from threading import Thread
from time import sleep

from obs import Obs

tel = Obs("thumbnails", version="1.0.0", runtime=False)
waiting = tel.gauge("jobs.waiting", "Images that wait.")
pixels = tel.counter("pixels", "Pixels read.", unit="{pixel}", labels=("format",))
resizing = tel.histogram("resize.duration", "Time spent on resizing.", unit="s")


@tel.operation(labels=("format",))
def make_thumbnail(format: str, width: int, height: int) -> None:
    if not width:
        raise ValueError("an empty image")
    with resizing.time():
        sleep(width * height / 1e9)
    pixels.labels(format).inc(width * height)


def work(jobs):
    while (job := jobs.get()) is not None:
        with suppress(ValueError):  # counted and logged already
            make_thumbnail(*job)


def main():
    jobs = Queue(maxsize=100)
    # Asked whenever the metrics are read. The queue is held weakly: when it is gone, so
    # is the series.
    waiting.set_function(Queue.qsize, owner=jobs)
    for number in range(9):
        jobs.put(("png" if number % 3 else "jpeg", 4000, 3000))
    jobs.put(("png", 0, 0))
    print(f"waiting: {tel.snapshot()['jobs.waiting'].points[0].value}")

    worker = Thread(target=work, args=(jobs,))
    worker.start()
    jobs.put(None)
    worker.join()

    for name in ("operation.duration", "resize.duration", "pixels", "jobs.waiting"):
        for series in tel.snapshot().as_dict()[name]["series"]:
            number = series.get("count", series.get("value"))
            print(name, *series["labels"].values(), number)


if __name__ == "__main__":
    main()

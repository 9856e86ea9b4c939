"""Creates a site with OpenStack Heat's scheduler, and deletes it again."""

from heat.engine import dependencies
from heat.engine import scheduler

TAKES = {'volume': 3, 'server': 2, 'bucket': 4}  # polls; others take one


def poll(name):
    for _ in range(TAKES.get(name, 1)):
        yield


def create(name):
    print('create', name)
    yield from poll(name)
    if name == 'bucket':
        raise ValueError('no more quota')
    print(name, 'is ready')


def delete(name):
    print('delete', name)
    yield from poll(name)
    print(name, 'is gone')


def main():
    deps = dependencies.Dependencies([
        ('server', 'network'), ('server', 'volume'), ('dns', 'server'), ('bucket', None),
    ])
    up = scheduler.DependencyTaskGroup(deps, lambda name: create(name))
    try:
        scheduler.TaskRunner(up)(wait_time=1, timeout=60)
    except ValueError as error:
        print('error:', error)
    down = scheduler.DependencyTaskGroup(deps, lambda name: delete(name), reverse=True)
    scheduler.TaskRunner(down)(wait_time=1, timeout=60)


if __name__ == '__main__':
    main()

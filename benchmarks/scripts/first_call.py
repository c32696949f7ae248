import sys

from just_distribute import distribute


@distribute(job="compute", workers=2)
def square(number: int) -> int:
    return number * number


print(square(range(int(sys.argv[1]))))

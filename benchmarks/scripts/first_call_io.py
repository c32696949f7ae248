import sys

from just_distribute import distribute


@distribute("io", workers=8)
def square(number: int) -> int:
    return number * number


print(square(range(int(sys.argv[1]))))

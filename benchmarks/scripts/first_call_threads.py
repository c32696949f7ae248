import sys
from concurrent.futures import ThreadPoolExecutor


def square(number: int) -> int:
    return number * number


with ThreadPoolExecutor(8) as executor:
    print(list(executor.map(square, range(int(sys.argv[1])))))

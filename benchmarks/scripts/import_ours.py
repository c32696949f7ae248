import just_distribute  # noqa: F401

print("imported")

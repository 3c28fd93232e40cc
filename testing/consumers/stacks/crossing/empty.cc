// Nothing: the headers are what is tested.

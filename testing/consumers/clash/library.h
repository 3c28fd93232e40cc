#ifndef LIBRARY_H_
#define LIBRARY_H_

// Returns: the name of the type of stack that the library's generators run on.
const char* StackOfLibrary();

#endif  // LIBRARY_H_

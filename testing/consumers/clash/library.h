#ifndef LIBRARY_H_
#define LIBRARY_H_

// Returns: the name of the stack type of the library's generators.
const char* StackOfLibrary();

#endif  // LIBRARY_H_

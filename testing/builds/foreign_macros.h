// Names that the headers of X11 and Windows define as macros. Included before fringe's headers, and
// after the standard library's and Abseil's, which are not fringe's to keep working.

#ifndef FRINGE_TESTING_BUILDS_FOREIGN_MACROS_H_
#define FRINGE_TESTING_BUILDS_FOREIGN_MACROS_H_

#include <pthread.h>
#include <unwind.h>

#include <atomic>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/status/statusor.h"

// <X11/X.h>, <X11/Xlib.h>, <X11/Xutil.h>
#define Above 0
#define AllocAll 1
#define AllocNone 0
#define Always 2
#define Below 1
#define Bool int
#define Button1 1
#define Complex 0
#define ControlMask (1L << 2)
#define Convex 2
#define CurrentTime 0L
#define DestroyAll 0
#define DestroyNotify 17
#define Expose 12
#define False 0
#define FocusIn 9
#define KeyPress 2
#define LockMask (1L << 1)
#define None 0L
#define Nonconvex 1
#define NotUseful 0
#define Opposite 4
#define ResizeRequest 25
#define Root 0
#define Status int
#define Success 0
#define True 1
#define Unsorted 0
#define WhenMapped 1
#define Window unsigned long

// <windows.h>, and what it includes
#define ABSOLUTE 1
#define CALLBACK
#define CONST const
#define CreateFile CreateFileA
#define CreateFiber CreateFiberA
#define DELETE (0x00010000L)
#define DIFFERENCE 11
#define ERROR 0
#define FAR
#define FALSE 0
#define GetCurrentTime() GetTickCount()
#define GetMessage GetMessageA
#define GetObject GetObjectA
#define IN
#define INFINITE 0xFFFFFFFF
#define MemoryBarrier() __sync_synchronize()
#define NEAR
#define OPTIONAL
#define OUT
#define PASCAL
#define RELATIVE 2
#define SendMessage SendMessageA
#define STRICT 1
#define SwitchToThread SwitchToThreadA
#define THIS void
#define TRUE 1
#define VOID void
#define Yield()
#define far
#define interface struct
#define max(a, b) (((a) > (b)) ? (a) : (b))
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define near
#define small char

#endif  // FRINGE_TESTING_BUILDS_FOREIGN_MACROS_H_

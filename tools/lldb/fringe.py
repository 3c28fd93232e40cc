"""Shows generators in lldb, in a live process and in a core file.

    (lldb) command script import tools/lldb/fringe.py
    (lldb) generator list
    (lldb) generator 2
    (lldb) generator apply all bt

They are found in memory by ../generator_memory.py, without help from the program. While the process
is stopped, each that has registers of its own is a thread, named `generator N`: generator_threads.py
tells lldb of them. The threads are gone when the process has continued.
"""

import os
import re
import shlex
import sys

import lldb

FOLDER = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [FOLDER, os.path.join(FOLDER, "..")]
import generator_memory

PLUG_IN = "target.process.python-os-plugin-path"


class Failure(Exception):
    """A sentence for the user."""


class Memory(generator_memory.Memory):
    """Of one process. It must not ask for threads: that is called while lldb collects them."""

    def __init__(self, process):
        self.process = process
        self.target = process.GetTarget()
        self._trampoline = None

    def read(self, address, length):
        error = lldb.SBError()
        content = self.process.ReadMemory(address, length, error)
        if error.Fail() or content is None or len(content) != length:
            raise generator_memory.Unreadable
        return content

    def trampoline(self):
        if self._trampoline is None:
            triple = self.target.GetTriple()
            if not triple.startswith("x86_64"):
                raise Failure("fringe.py knows x86_64 only. lldb says: " + triple)
            symbols = self.target.FindSymbols("fringe_x86_64_trampoline")
            if symbols.GetSize() == 0:
                raise Failure(
                    "The program has no symbols of fringe: use one that is not stripped."
                )
            address = symbols.GetContextAtIndex(0).GetSymbol().GetStartAddress()
            self._trampoline = address.GetLoadAddress(self.target)
        return self._trampoline

    def control_bytes(self, mode):
        for name in generator_memory.control_types(mode):
            if size := self.target.FindFirstType(name).GetByteSize():
                return size
        return None

    def writable_ranges(self):
        regions = self.process.GetMemoryRegions()
        region = lldb.SBMemoryRegionInfo()
        found = []
        for i in range(regions.GetSize()):
            regions.GetMemoryRegionAtIndex(i, region)
            if region.IsWritable():
                found.append((region.GetRegionBase(), region.GetRegionEnd()))
        return found

    def pid(self):
        is_core = self.process.GetPluginName() == "elf-core"
        return None if is_core else self.process.GetProcessID()

    def function_at(self, pc):
        return self.target.ResolveLoadAddress(pc).GetFunction().GetName() or "??"


class Snapshot:
    """The generators of a process while it is stopped."""

    def __init__(self, process):
        self.stop = process.GetStopID()
        self.memory = Memory(process)
        self.generators = generator_memory.find_records(
            self.memory, generator_memory.Record, self.memory.function_at
        )
        for thread in process:
            generator_memory.find_thread(self.generators, Thread(thread), sp_of(thread))


class Thread:
    """A thread of the process, as generator_memory.Record describes it."""

    def __init__(self, thread):
        self.id = thread.GetThreadID()
        self.num = thread.GetIndexID()


def sp_of(thread):
    return thread.GetFrameAtIndex(0).GetSP()


# The snapshot of each process, by its number. generator_threads.py reads them.
snapshots = {}


def threads_of(process):
    """Returns the generators that are threads now, for generator_threads.py."""
    snapshot = snapshots.get(process.GetUniqueID())
    if snapshot is None or snapshot.stop != process.GetStopID():
        return []
    return [g for g in snapshot.generators if g.registers() is not None]


def find_generators(debugger, process):
    """Finds the generators and makes threads of them, unless the process is still as it was."""
    snapshot = snapshots.get(process.GetUniqueID())
    if snapshot is not None and snapshot.stop == process.GetStopID():
        return snapshot.generators
    chosen = process.GetSelectedThread()
    thread, frame = chosen.GetThreadID(), chosen.GetSelectedFrame().GetFrameID()
    # lldb asks for the threads anew whenever this setting changes.
    name = debugger.GetInstanceName()
    lldb.SBDebugger.SetInternalVariable(PLUG_IN, "", name)
    snapshots[process.GetUniqueID()] = Snapshot(process)
    plug_in = os.path.join(FOLDER, "generator_threads.py")
    lldb.SBDebugger.SetInternalVariable(PLUG_IN, plug_in, name)
    process.SetSelectedThreadByID(thread)
    process.GetSelectedThread().SetSelectedFrame(frame)
    return snapshots[process.GetUniqueID()].generators


def thread_of(process, generator):
    """Returns the thread that has the generator's frames; None if none has."""
    if generator.registers() is not None:
        return process.GetThreadByID(generator.place)
    return process.GetThreadByID(generator.thread.id) if generator.thread else None


def own_frames(thread, memory):
    """Yields the generator's frames, the innermost first."""
    for frame in thread:
        if frame.GetPC() == memory.trampoline():
            return
        yield frame


def named_frames(thread, memory):
    """Yields (number, function, place in the source) of each of the generator's frames."""
    frames = list(own_frames(thread, memory)) if thread is not None else []
    for number, (frame, outer) in enumerate(zip(frames, frames[1:] + [None])):
        entry = frame.GetLineEntry()
        file = entry.GetFileSpec()
        place = "%s/%s:%d" % (file.GetDirectory() or ".", file.GetFilename(), entry.GetLine())
        yield number, frame.GetFunctionName() or "??", place if file.IsValid() else ""
        # lldb leaves out some functions into which all the code of a frame was inlined.
        if frame.IsInlined() and (outer is None or outer.GetCFA() != frame.GetCFA()):
            yield number, frame.GetFunction().GetName() or "??", ""


def execute(debugger, process, command, result):
    """Runs a command with the selected thread and frame, and appends its output."""
    returned = lldb.SBCommandReturnObject()
    # By default it would run with those from before this script's own command.
    context = lldb.SBExecutionContext(process.GetSelectedThread().GetSelectedFrame())
    debugger.GetCommandInterpreter().HandleCommand(command, context, returned)
    result.AppendMessage((returned.GetOutput() or "").rstrip("\n"))
    if returned.GetError():
        result.AppendMessage(returned.GetError().rstrip("\n"))


def by_number(generators, text):
    for generator in generators:
        if str(generator.number) == text:
            return generator
    raise Failure("There is no generator %s: see `generator list`." % text)


def select(debugger, process, generator, memory, result):
    thread = thread_of(process, generator)
    if thread is None:
        raise Failure("It runs, but no thread has its stack pointer there.")
    process.SetSelectedThread(thread)
    for number, name, place in named_frames(thread, memory):
        if not generator_memory.is_own(name, place):
            thread.SetSelectedFrame(number)
            break
    else:
        thread.SetSelectedFrame(0)
    result.AppendMessage("[Generator %d, %s]" % (generator.number, generator.describe_state()))
    execute(debugger, process, "frame select", result)


def apply(debugger, process, generators, memory, words, result):
    chosen = []
    if words and words[0] == "all":
        chosen, words = generators, words[1:]
    else:
        while words and words[0].isdigit():
            chosen.append(by_number(generators, words[0]))
            words = words[1:]
    if not chosen and not generators:
        return
    if not chosen or not words:
        raise Failure("Usage: generator apply all COMMAND, or generator apply N... COMMAND.")
    before = process.GetSelectedThread().GetThreadID()
    for generator in chosen:
        result.AppendMessage(
            "\nGenerator %d (%s):" % (generator.number, generator.describe_state())
        )
        thread = thread_of(process, generator)
        if thread is None:
            result.AppendMessage("no thread has its stack pointer there")
            continue
        process.SetSelectedThread(thread)
        thread.SetSelectedFrame(0)
        command = " ".join(words)
        if command in ("bt", "thread backtrace"):
            command = backtrace_command(generator, thread, memory)
        execute(debugger, process, command, result)
    process.SetSelectedThreadByID(before)


def backtrace_command(generator, thread, memory):
    """Returns the command whose output ends at the generator's own first function."""
    if generator.state == generator_memory.RUNNING:
        return "thread backtrace"
    return "thread backtrace --count %d" % len(list(own_frames(thread, memory)))


def run(debugger, words, process, result):
    if words == ["none"]:
        for thread in process:
            if not re.match(r"generator \d+$", thread.GetName() or ""):
                process.SetSelectedThread(thread)
                break
        execute(debugger, process, "frame select", result)
        return
    generators = find_generators(debugger, process)
    memory = snapshots[process.GetUniqueID()].memory
    selected = process.GetSelectedThread().GetThreadID()
    if words in ([], ["list"]):
        if not generators:
            result.AppendMessage("No generators.")
        for generator in generators:
            thread = thread_of(process, generator)
            names = [(name, place) for _, name, place in named_frames(thread, memory)]
            entry = generator_memory.description(generator, names, selected == generator.place)
            result.AppendMessage(entry.rstrip("\n"))
    elif words[0] == "apply":
        apply(debugger, process, generators, memory, words[1:], result)
    elif words == ["backtrace"]:
        for generator in generators:
            if selected == generator.place:
                thread = thread_of(process, generator)
                execute(debugger, process, backtrace_command(generator, thread, memory), result)
                return
        raise Failure("No generator is selected: see `generator list`.")
    elif len(words) == 1:
        select(debugger, process, by_number(generators, words[0]), memory, result)
    else:
        raise Failure("Usage: see `help generator`.")


def generator(debugger, command, result, _):
    """Shows generators.

    generator list       all: state, body, where each is suspended, stack
    generator N          selects one for `up`, `down`, `frame variable`, `generator backtrace`
    generator backtrace  the frames of the selected one
    generator none       selects a thread of the process again
    generator apply all COMMAND
    generator apply N... COMMAND

    Generators that have finished are not listed. One that was abandoned by UnsafeUnwrap is, until its
    stack is used again. The numbers change when generators come and go. A generator is a thread of
    lldb until the process continues; select a thread of the process to step or to continue."""
    process = debugger.GetSelectedTarget().GetProcess()
    if not process.IsValid() or process.GetState() != lldb.eStateStopped:
        result.SetError("There is no stopped process: run the program, or load a core file.")
        return
    try:
        run(debugger, shlex.split(command), process, result)
    except Failure as failure:
        result.SetError(str(failure))


# --- Summaries of variables ---


def member(value, name):
    """Returns a member as a number; None if there is none of that name."""
    found = value.GetNonSyntheticValue().GetChildMemberWithName(name)
    return found.GetValueAsUnsigned() if found.IsValid() else None


def generator_summary(value, _):
    place = member(value, "control_")
    if place == 0:
        return "moved-from generator"
    try:
        record = generator_memory.Record(Memory(value.GetProcess()), place)
    except (Failure, ValueError, generator_memory.Unreadable):
        return "generator without a control block"
    return "%s generator, stack 0x%x..0x%x" % (record.state, record.limit, record.base)


def stack_summary(value, _):
    """Of a stack with members for its limit and its size or its base."""
    name = value.GetType().GetUnqualifiedType().GetName().split("::")[-1]
    bounds = value.GetNonSyntheticValue().GetChildMemberWithName("bounds_")
    if bounds.IsValid():
        limit = member(bounds.Dereference(), "limit") if bounds.GetValueAsUnsigned() else 0
        base = member(bounds.Dereference(), "base") if limit else 0
    else:
        limit, base = member(value, "limit_"), member(value, "base_")
        if base is None:
            base = limit + member(value, "size_bytes_")
    if not limit:
        return "moved-from " + name
    return "%s of %d bytes, 0x%x..0x%x" % (name, base - limit, limit, base)


def pool_summary(value, _):
    core = value.GetNonSyntheticValue().GetChildMemberWithName("core_").Dereference()

    def number(path):
        found = core.GetValueForExpressionPath("." + path)
        if not found.IsValid():
            raise Failure(path)
        return found.GetValueAsUnsigned()

    try:
        unused = sum(number(chain + ".count") for chain in ("warm_", "cold_", "bare_"))
        arenas, stacks = 0, 0
        arena = core.GetChildMemberWithName("arenas_")
        while arena.GetValueAsUnsigned() != 0:
            arenas += 1
            stacks += member(arena.Dereference(), "carved")
            arena = arena.Dereference().GetChildMemberWithName("next")
        return "StackPool of stacks of %d bytes with guards of %d: %d made in %d arenas, %d in the depot" % (
            *(number("layout_.room_bytes"), number("layout_.guard_bytes")),
            *(stacks, arenas, unused),
        )
    except Failure:
        return "StackPool (its library has no debug information)"


def __lldb_init_module(debugger, _):
    debugger.HandleCommand("command script add --function %s.generator generator" % __name__)
    for function, pattern in (
        ("generator_summary", r"^fringe::([a-z_]+::)?Generator<.*>$"),
        ("stack_summary", r"^fringe::(OsStack|PooledStack|MallocStack|SpanStack)$"),
        ("pool_summary", r"^fringe::StackPool$"),
    ):
        debugger.HandleCommand(
            "type summary add --python-function %s.%s --regex '%s'" % (__name__, function, pattern)
        )

"""Finds generators in the memory of a process or of a core file, for the extensions of gdb and lldb.

The program needs nothing but symbols: it keeps no list of its generators. The word above a
generator's first frame is the address of the trampoline; above that is the link record; behind the
link record is the distance to the stack's limit. See arch/x86_64.h and fringe/control.h, which these
constants repeat.
"""

import bisect
import re
import struct

WORD = 8
PAGE = 4096
RECORD_BYTES = 64  # arch::LinkRecord, and its alignment
MODES, REASONS = 16, 4  # Control::kModes, kReasons
FINISHED, IN_HANDLER, OPEN = 1, 2, 3  # reasons, plus REASONS * mode
SHADOWED = 8  # more than the mode: suspended, with a shadow stack
MAXIMUM_BODY = 1 << 20  # how far above the first frame a record is searched

PT_LOAD, PF_W = 1, 2  # of ELF

SUSPENDED, NOT_STARTED, RUNNING, DONE = "suspended", "not started", "running", "finished"

# The namespaces of the modes (fringe/config.h). Code with support for shadow stacks has another.
NAMESPACES = (
    "exceptions",
    "no_exceptions",
    "exceptions_asan",
    "no_exceptions_asan",
    "exceptions_tsan",
    "no_exceptions_tsan",
    "exceptions_msan",
    "no_exceptions_msan",
)


def control_types(mode):
    """Returns the names that the `Control` of a mode may have. They have the same size."""
    return ["fringe::internal::%s::Control" % (NAMESPACES[mode] + end) for end in ("", "_shadow_stacks")]


class Unreadable(Exception):
    """The process or the core file has no memory there."""


class Memory:
    """What a debugger knows of one process or core file. Each debugger has its own subclass."""

    def read(self, address, length):
        """Returns the bytes there, or raises Unreadable."""
        raise NotImplementedError

    def trampoline(self):
        """Returns the address that a generator's first function returns to."""
        raise NotImplementedError

    def control_bytes(self, mode):
        """Returns the size of a `Control`; None if that is unknown."""
        raise NotImplementedError

    def writable_ranges(self):
        """Returns [(begin, end)] of the mappings that may hold stacks, in any order."""
        raise NotImplementedError

    def pid(self):
        """Returns the number of the process if it runs on this machine; None for a core file."""
        raise NotImplementedError

    def words(self, address, count):
        return struct.unpack("<%dQ" % count, self.read(address, count * WORD))


class Record:
    """A generator's stack: what the `Control` at `place` says of it."""

    def __init__(self, memory, place):
        """Raises ValueError or Unreadable if there is none."""
        self.memory = memory
        self.place = place
        record = memory.words(place, 11)
        self.resumer = dict(zip(("fp", "pc", "sp", "bp"), record[0:4]))
        self.saved = dict(zip(("fp", "pc", "sp", "bp"), record[4:8]))
        first, second, third = record[8:11]
        if first != 0:
            self.mode, self.size, fits = 0, first, second <= 1
        elif second >= MODES:
            self.mode, self.size, fits = 1, second, True
        else:
            self.mode, self.size, fits = second, third, second > 1
        self.limit = place - self.size
        if not fits or not RECORD_BYTES < self.size < place:
            raise ValueError
        closed = self.resumer["sp"]
        if closed == FINISHED + REASONS * self.mode:
            self.state = DONE
        elif closed in (0, place) or closed in [
            reason + REASONS * mode
            for reason in (IN_HANDLER, OPEN)
            for mode in (self.mode, self.mode + SHADOWED)
        ]:
            self.state = SUSPENDED
            if self.saved["fp"] == place and self.contains(self.saved["sp"]):
                if memory.words(self.saved["sp"], 1)[0] == memory.trampoline():
                    self.state = NOT_STARTED
        elif closed > 1 << 16 and not self.contains(closed):
            self.state = RUNNING
        else:
            raise ValueError
        if self.state in (SUSPENDED, NOT_STARTED) and not self.contains(self.saved["sp"]):
            raise ValueError
        self.thread = None  # that runs it
        self.thread_sp = None
        self.inner = None  # the running generator that it has resumed
        self.number = 0

    def contains(self, address):
        return self.limit <= address < self.place

    @property
    def base(self):
        return self.place + (self.memory.control_bytes(self.mode) or 2 * RECORD_BYTES)

    def registers(self):
        """Returns those that the generator continues with; None if it runs itself."""
        if self.state in (SUSPENDED, NOT_STARTED):
            return self.saved
        return self.inner.resumer if self.inner else None

    def used(self):
        """Returns how many bytes its frames take; None if that is unknown."""
        registers = self.registers()
        sp = registers["sp"] if registers else self.thread_sp
        return self.base - sp if sp else None

    def describe_state(self):
        if self.state != RUNNING:
            return self.state
        if self.inner is not None:
            return "running, has resumed %d" % self.inner.number
        if self.thread is not None:
            return "running on thread %d" % self.thread.num
        return "running"


def find_records(memory, record_type, function_at):
    """Returns a `record_type` of each generator that has not finished, by address and numbered.

    `function_at` gives the name of the function at an address.
    """
    pattern = struct.pack("<Q", memory.trampoline())
    records = {}
    ranges = merge(memory.writable_ranges())
    begins = [begin for begin, _ in ranges]

    def is_data(address):
        i = bisect.bisect_right(begins, address) - 1
        return i >= 0 and address < ranges[i][1]

    for begin, end in ranges:
        for run_begin, run_end in resident_runs(memory, begin, end):
            for address in positions(memory, run_begin, run_end, pattern):
                record = record_above(memory, record_type, address, begin, is_data)
                if record is not None:
                    records[record.place] = record
    found = [r for r in records.values() if r.state != DONE]
    # A call by OnStack that has ended looks as if it had not begun.
    found = [r for r in found if r.state != NOT_STARTED or "::Call<" not in function_at(r.saved["pc"])]
    found.sort(key=lambda record: record.place)
    running = [r for r in found if r.state == RUNNING]
    for record in running:
        for inner in running:
            if record.contains(inner.resumer["sp"]):
                record.inner = inner
    for number, record in enumerate(found, 1):
        record.number = number
    return found


def find_thread(records, thread, sp):
    """Notes in the record of the generator that runs on a thread, if there is one."""
    for record in records:
        if record.state != RUNNING or record.inner is not None:
            continue
        # In the guard after an overflow.
        if record.limit - (1 << 20) <= sp < record.place:
            record.thread, record.thread_sp = thread, sp


def merge(ranges):
    """Returns the ranges in order. Those without a gap between them are one."""
    merged = []
    for begin, end in sorted(ranges):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def resident_runs(memory, begin, end):
    """Yields the parts of a range that have memory. A guard has none."""
    try:
        pagemap = open("/proc/%d/pagemap" % memory.pid(), "rb") if memory.pid() else None
    except OSError:
        pagemap = None  # a process on another machine
    if pagemap is None:
        yield begin, end
        return
    with pagemap:
        step = 512 * PAGE
        start = None
        for chunk in range(begin, end, step):
            pagemap.seek(chunk // PAGE * WORD)
            count = min(step, end - chunk) // PAGE
            entries = pagemap.read(count * WORD)
            if len(entries) < count * WORD:
                yield chunk, min(chunk + step, end)
                continue
            if not entries.strip(b"\0") and start is None:
                continue
            for i in range(count):
                has_memory = entries[i * WORD + 7] & 0xC0 and not (entries[i * WORD + 7] & 0x04)
                page = chunk + i * PAGE
                if has_memory and start is None:
                    start = page
                elif not has_memory and start is not None:
                    yield start, page
                    start = None
        if start is not None:
            yield start, end


def contents(memory, begin, end):
    """Yields (address, bytes) of what can be read: not a guard, nor what a core file leaves out."""
    step = 1 << 22
    for chunk in range(begin, end, step):
        chunk_end = min(chunk + step, end)
        try:
            content = memory.read(chunk, chunk_end - chunk)
        except Unreadable:
            if chunk_end - chunk > PAGE:
                for page in range(chunk, chunk_end, PAGE):
                    yield from contents(memory, page, page + PAGE)
            continue
        yield chunk, content


def positions(memory, begin, end, pattern):
    """Yields where aligned copies of `pattern` are."""
    for address, content in contents(memory, begin, end):
        i = content.find(pattern)
        while i != -1:
            if i % WORD == 0:
                yield address + i
            i = content.find(pattern, i + 1)


def record_above(memory, record_type, first_frame_address, begin, is_data):
    """Returns the generator whose first frame returns to the trampoline by the word there.

    Other words may look like a generator, since functions that create one may keep the trampoline's
    address in their frames. So its stack is not below `begin`, its first frame is aligned, and what
    has resumed it has a stack pointer to data, as `is_data` tells, and a program counter that is none.
    """
    if first_frame_address % 16 != 8:
        return None
    place = (first_frame_address + RECORD_BYTES) // RECORD_BYTES * RECORD_BYTES
    while place - first_frame_address < MAXIMUM_BODY:
        try:
            found = record_type(memory, place)
            if found.contains(first_frame_address) and found.limit >= begin:
                sp, pc = found.resumer["sp"], found.resumer["pc"]
                if found.state != RUNNING or (is_data(sp) and pc > 1 << 16 and not is_data(pc)):
                    return found
        except ValueError:
            pass
        except Unreadable:
            return None
        place += RECORD_BYTES
    return None


# --- Core files ---


def complete_core(memory, file):
    """Writes the process's writable memory into the core file that a debugger has made of it.

    The file has a place for every mapping, but not the content of one after an unreadable page.
    """
    header = file.read(64)
    (table,) = struct.unpack_from("<Q", header, 32)
    entry_bytes, count = struct.unpack_from("<HH", header, 54)
    for i in range(count):
        file.seek(table + i * entry_bytes)
        kind, flags, offset, begin, _, size = struct.unpack("<IIQQQQ", file.read(40))
        if kind != PT_LOAD or not flags & PF_W:
            continue
        for run_begin, run_end in resident_runs(memory, begin, begin + size):
            for address, content in contents(memory, run_begin, run_end):
                file.seek(offset + address - begin)
                file.write(content)


# --- Names of functions ---


def is_own(name, source):
    """Whether a function is part of fringe. GCC 16 names some inlined ones without their namespace."""
    return (
        name.startswith("fringe::")
        or name in ("__morestack", "??")
        or re.search(r"(^|/)(fringe|arch)/\w+\.h(:\d+)?$", source) is not None
    )


def body_of(frames):
    """Returns the name of a body. `frames` are [(function, place in the source)], innermost first."""
    match = re.match(r".*::Entry<(.*)>\(", frames[-1][0] + "(", re.S) if frames else None
    body = match.group(1).strip() if match else "??"
    if re.match(r".*\(\*\)", body):
        # A pointer to a function: the outermost frame that is not fringe's is that function.
        for name, source in reversed(frames):
            if not is_own(name, source):
                return name
    return body


def stack_type_of(frames):
    """Returns the type of a generator's stack, from the template arguments of its first function."""
    match = re.match(r".*?Generator<(.*)>::Entry<", frames[-1][0], re.S) if frames else None
    return template_arguments(match.group(1))[-1] if match else "??"


def template_arguments(text):
    """Splits at the commas that are in no brackets."""
    arguments, depth, begin = [], 0, 0
    for i, character in enumerate(text):
        if character in "<({":
            depth += 1
        elif character in ">)}" and text[i - 1] != "-":
            depth -= 1
        elif character == "," and depth == 0:
            arguments.append(text[begin:i].strip())
            begin = i + 1
    return arguments + [text[begin:].strip()]


def where(frames):
    """Returns the innermost frame that is not fringe's."""
    for name, source in frames:
        if not is_own(name, source):
            return name + (" at " + source if source else "")
    return "??"


def description(record, frames, is_selected):
    """Returns the lines of one entry in a list of generators."""
    used = record.used()
    lines = ["%s %-3d %s" % ("*" if is_selected else " ", record.number, record.describe_state())]
    lines.append("        body   %s" % body_of(frames))
    if record.state != NOT_STARTED:
        lines.append("        where  %s" % where(frames))
    lines.append(
        "        stack  %s, %d bytes from 0x%x, %s used"
        % (
            stack_type_of(frames),
            record.base - record.limit,
            record.limit,
            "?" if used is None else used,
        )
    )
    return "".join(line + "\n" for line in lines)

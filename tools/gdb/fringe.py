"""Shows generators in gdb, in a live process and in a core file.

    (gdb) source tools/gdb/fringe.py
    (gdb) info generators
    (gdb) generator 2
    (gdb) generator apply all backtrace

They are found in memory by ../generator_memory.py, without help from the program.

To select a suspended generator, gdb is told that the thread's innermost frame, #0, was called by
the generator's innermost frame, #1. Nothing in the process changes, so it works in core files too.
"""

import os
import re
import sys

import gdb
import gdb.unwinder
import gdb.printing
from gdb.FrameDecorator import FrameDecorator

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), ".."))
import generator_memory
from generator_memory import NOT_STARTED, RUNNING


def inferior():
    return gdb.selected_inferior()


_trampoline = {}


class Memory(generator_memory.Memory):
    """Of the selected inferior."""

    def read(self, address, length):
        try:
            return bytes(inferior().read_memory(address, length))
        except gdb.MemoryError as error:
            raise generator_memory.Unreadable from error

    def trampoline(self):
        return trampoline()

    def control_bytes(self, mode):
        for name in generator_memory.control_types(mode):
            try:
                return gdb.lookup_type(name).sizeof
            except gdb.error:
                pass
        return None

    def writable_ranges(self):
        found = []
        if is_core():
            for line in gdb.execute("maintenance info sections", to_string=True).splitlines():
                match = re.search(r"0x([0-9a-f]+)->0x([0-9a-f]+) at .*: load\w* (.*)", line)
                if match and "HAS_CONTENTS" in line and "READONLY" not in line:
                    found.append((int(match.group(1), 16), int(match.group(2), 16)))
        else:
            for line in gdb.execute("info proc mappings", to_string=True).splitlines():
                match = re.match(r"\s*0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+\S+\s+\S+\s+rw", line)
                if match:
                    found.append((int(match.group(1), 16), int(match.group(2), 16)))
        return found

    def pid(self):
        return None if is_core() else inferior().pid


memory = Memory()


def is_core():
    return "Local core dump file" in gdb.execute("info files", to_string=True)


def trampoline():
    key = inferior().num
    if key not in _trampoline:
        architecture = gdb.execute("show architecture", to_string=True)
        if "x86-64" not in architecture:
            raise gdb.GdbError("fringe.py knows x86_64 only. gdb says: " + architecture.strip())
        try:
            value = gdb.parse_and_eval("(unsigned long)&fringe_x86_64_trampoline")
        except gdb.error as error:
            raise gdb.GdbError(
                "The program has no symbols of fringe: use one that is not stripped. (%s)" % error
            )
        _trampoline[key] = int(value)
    return _trampoline[key]


class Generator(generator_memory.Record):
    _frames = None

    def frames(self):
        """Returns [(function, place in the source)] of its own frames, the innermost first."""
        if self._frames is not None:
            return self._frames
        self._frames = []
        if self.state == NOT_STARTED:
            self._frames.append((function_at(self.saved["pc"]), ""))
            return self._frames
        with selected(self):
            frame = first_frame(self)
            while frame is not None and frame.pc() != trampoline():
                name = frame.name() or "??"
                source, line = source_of(frame)
                self._frames.append((name, "%s:%d" % (source, line) if source else ""))
                frame = older(frame)
        return self._frames


def source_of(frame):
    """Returns the file and the line at which it is; an empty file if that is unknown."""
    line = frame.find_sal()
    return (line.symtab.filename, line.line) if line.symtab else ("", 0)


def is_own_frame(frame):
    return generator_memory.is_own(frame.name() or "??", source_of(frame)[0])


def function_at(pc):
    """Returns the name of the function there, not of one that is inlined into it."""
    name = None
    block = gdb.block_for_pc(pc)
    while block is not None and not block.is_static and not block.is_global:
        if block.function is not None:
            name = str(block.function)
        block = block.superblock
    if name is None:
        text = gdb.execute("info symbol %d" % pc, to_string=True)
        name = text.split(" in section")[0] if " in section" in text else "??"
    return name


def older(frame):
    try:
        return frame.older()
    except gdb.error:
        return None


def find_generators():
    found = generator_memory.find_records(memory, Generator, function_at)
    if any(generator.state == RUNNING for generator in found) and gdb.selected_thread():
        chosen, frame = gdb.selected_thread(), gdb.selected_frame()
        for thread in inferior().threads():
            thread.switch()
            sp = int(gdb.newest_frame().read_register("rsp"))
            generator_memory.find_thread(found, thread, sp)
        chosen.switch()
        frame.select()
    return found


# --- Selecting one ---


class Unwinder(gdb.unwinder.Unwinder):
    """While a generator is selected: its innermost frame is the caller of frame 0."""

    def __init__(self):
        super().__init__("fringe")
        self.enabled = False
        self.generator = None
        self.thread = None

    def __call__(self, pending):
        thread = gdb.selected_thread()
        if self.generator is None or thread is None or thread.ptid != self.thread:
            return None
        registers = self.generator.registers()
        pc = int(pending.read_register("rip"))
        sp = int(pending.read_register("rsp"))
        if pending.level() == 0:
            # A place that is below every frame of the generator.
            info = pending.create_unwind_info(FrameId(registers["sp"] - 16, pc))
            # gdb looks up the address before a return address, which is not in a function that has
            # not begun.
            begins = self.generator.state == NOT_STARTED
            for name, key in (("rip", "pc"), ("rsp", "sp"), ("rbp", "fp"), ("rbx", "bp")):
                value = gdb.Value(registers[key] + (begins and key == "pc")).cast(pending.read_register(name).type)
                info.add_saved_register(name, value)
            return info
        if pc == trampoline() and self.generator.state != RUNNING:
            # There is no resumer. A frame that seems to have called itself is gdb's last.
            info = pending.create_unwind_info(FrameId(sp, pc))
            for name in ("rip", "rsp"):
                info.add_saved_register(name, pending.read_register(name))
            return info
        return None


class FrameId:
    def __init__(self, sp, pc):
        self.sp = gdb.Value(sp)
        self.pc = gdb.Value(pc)


class Frame(FrameDecorator):
    """A frame as gdb shows it when no filter is enabled: its function without parameters' types."""

    def function(self):
        return self.inferior_frame().name() or super().function()


class FrameFilter:
    """Hides the thread's own frame, and all from the trampoline on if there is no resumer."""

    def __init__(self):
        self.name = "fringe"
        self.priority = 100
        self.enabled = False
        gdb.frame_filters[self.name] = self

    def filter(self, frames):
        if gdb.selected_thread().ptid != unwinder.thread:
            return frames
        return self.frames_of(unwinder.generator)

    @staticmethod
    def frames_of(generator):
        frame = older(gdb.newest_frame())
        while frame is not None and (generator.state == RUNNING or frame.pc() != trampoline()):
            yield Frame(frame)
            frame = older(frame)


unwinder = Unwinder()
frame_filter = FrameFilter()
gdb.unwinder.register_unwinder(None, unwinder, replace=True)


def select(generator):
    unwinder.generator = generator
    unwinder.thread = gdb.selected_thread().ptid if generator else None
    unwinder.enabled = frame_filter.enabled = generator is not None
    gdb.invalidate_cached_frames()


class selected:
    """Selects a generator for a `with` statement."""

    def __init__(self, generator):
        self.generator = generator

    def __enter__(self):
        self.before = unwinder.generator
        self.thread = gdb.selected_thread()
        self.level = gdb.selected_frame().level()
        if self.generator.registers() is not None:
            select(self.generator)
        else:
            select(None)
            if self.generator.thread is not None:
                self.generator.thread.switch()

    def __exit__(self, *_):
        self.thread.switch()
        select(self.before)
        frame = gdb.newest_frame()
        while frame is not None and frame.level() < self.level:
            frame = older(frame)
        if frame is not None:
            frame.select()


def first_frame(generator):
    """Returns the innermost frame of the selected generator."""
    if generator.state == RUNNING and not generator.inner and not generator.thread:
        return None
    frame = gdb.newest_frame()
    return older(frame) if generator.registers() is not None else frame


def deselect(*_):
    if unwinder.enabled:
        select(None)


gdb.events.cont.connect(deselect)
gdb.events.exited.connect(deselect)
gdb.events.exited.connect(lambda _: _trampoline.clear())
gdb.events.new_objfile.connect(lambda _: _trampoline.clear())


# --- Commands ---


def require_process():
    if gdb.selected_thread() is None:
        raise gdb.GdbError("There is no process: run the program, or load a core file.")


class InfoGenerators(gdb.Command):
    """Lists the generators: state, stack, body, and where each is suspended.

    info generators

    Generators that have finished are not listed. One that was abandoned by UnsafeUnwrap is, until its
    stack is used again. The numbers are those of `generator N`; they change when generators come and
    go."""

    def __init__(self):
        super().__init__("info generators", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        require_process()
        generators = find_generators()
        if not generators:
            gdb.write("No generators.\n")
        for generator in generators:
            is_selected = unwinder.enabled and unwinder.generator.place == generator.place
            gdb.write(generator_memory.description(generator, generator.frames(), is_selected))


class SelectGenerator(gdb.Command):
    """Selects a generator for `backtrace`, `up`, `down`, `info locals` and `frame`.

    generator N        the generator of that number in `info generators`
    generator none     the thread itself again
    generator apply all COMMAND
    generator apply N... COMMAND
    generator gcore [FILE]   saves a core file that has the stacks

    Frame 0 remains that of the thread, and the generator's frames begin at 1. The process is not
    changed. When it continues, the thread itself is selected again."""

    def __init__(self):
        super().__init__("generator", gdb.COMMAND_STACK, prefix=True)

    def invoke(self, argument, from_tty):
        require_process()
        argument = argument.strip()
        if argument == "none":
            select(None)
            gdb.newest_frame().select()
            gdb.execute("frame")
            return
        if not argument:
            if not unwinder.enabled:
                gdb.write("No generator is selected.\n")
            else:
                gdb.write("Generator %d is selected.\n" % unwinder.generator.number)
            return
        generator = by_number(find_generators(), argument)
        if generator.registers() is not None:
            select(generator)
        else:
            select(None)
            if generator.thread is None:
                raise gdb.GdbError("It runs, but no thread has its stack pointer there.")
            generator.thread.switch()
        frame = first_frame(generator)
        while frame is not None and is_own_frame(frame) and older(frame) is not None:
            frame = older(frame)
        (frame or gdb.newest_frame()).select()
        gdb.write("[Generator %d, %s]\n" % (generator.number, generator.describe_state()))
        gdb.execute("frame")


def by_number(generators, text):
    for generator in generators:
        if str(generator.number) == text:
            return generator
    raise gdb.GdbError("There is no generator %s: see `info generators`." % text)


class ApplyToGenerators(gdb.Command):
    """Runs a command with each of some generators selected.

    generator apply all COMMAND
    generator apply N... COMMAND"""

    def __init__(self):
        super().__init__("generator apply", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        require_process()
        generators = find_generators()
        parts = argument.split()
        chosen = []
        if parts and parts[0] == "all":
            chosen, parts = generators, parts[1:]
        else:
            while parts and parts[0].isdigit():
                chosen.append(by_number(generators, parts.pop(0)))
        if not chosen and not generators:
            return
        if not chosen or not parts:
            raise gdb.GdbError("Usage: generator apply all COMMAND, or generator apply N... COMMAND.")
        for generator in chosen:
            gdb.write("\nGenerator %d (%s):\n" % (generator.number, generator.describe_state()))
            with selected(generator):
                frame = first_frame(generator)
                if frame is None:
                    gdb.write("no thread has its stack pointer there\n")
                    continue
                frame.select()
                gdb.execute(" ".join(parts))


class SaveCore(gdb.Command):
    """Saves a core file, as gcore does, with the stacks that gcore leaves out.

    generator gcore [FILE]

    gcore stops reading a mapping at the first page that cannot be read, such as a stack's guard."""

    def __init__(self):
        super().__init__("generator gcore", gdb.COMMAND_FILES)

    def invoke(self, argument, from_tty):
        require_process()
        text = gdb.execute("gcore " + argument, to_string=True)
        match = re.search(r"^Saved corefile (.*)$", text, re.M)
        if match is None:
            raise gdb.GdbError("gcore has written no file. gdb says: " + text.strip())
        with open(match.group(1), "r+b") as file:
            generator_memory.complete_core(memory, file)
        gdb.write(match.group(0) + "\n")


InfoGenerators()
SelectGenerator()
ApplyToGenerators()
SaveCore()


# --- Pretty-printers ---


class GeneratorPrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        place = int(self.value["control_"])
        if place == 0:
            return "moved-from generator"
        try:
            generator = Generator(memory, place)
        except (ValueError, generator_memory.Unreadable):
            return "generator without a control block"
        return "%s generator, stack 0x%x..0x%x" % (generator.state, generator.limit, generator.base)


class StackPrinter:
    """Of a stack with members for its limit and its size or its base."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        names = {field.name for field in self.value.type.fields()}
        name = self.value.type.strip_typedefs().tag.split("::")[-1]
        if "bounds_" in names:
            if int(self.value["bounds_"]) == 0:
                return "moved-from " + name
            bounds = self.value["bounds_"].dereference()
            limit, base = int(bounds["limit"]), int(bounds["base"])
        else:
            limit = int(self.value["limit_"])
            if limit == 0:
                return "moved-from " + name
            base = int(self.value["base_"]) if "base_" in names else limit + int(self.value["size_bytes_"])
        text = "%s of %d bytes, 0x%x..0x%x" % (name, base - limit, limit, base)
        if "guard_bytes_" in names:
            text += ", guard of %d bytes" % int(self.value["guard_bytes_"])
        return text


class PoolPrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        try:
            core = self.value["core_"].dereference()
            layout = core["layout_"]
            unused = [int(core[chain]["count"]) for chain in ("warm_", "cold_", "bare_")]
            arenas, stacks = 0, 0
            arena = core["arenas_"]
            while int(arena) != 0:
                arenas += 1
                stacks += int(arena["carved"])
                arena = arena["next"]
            return (
                "StackPool of stacks of %d bytes with guards of %d: %d made in %d arenas, "
                "%d in the depot" % (int(layout["room_bytes"]), int(layout["guard_bytes"]), stacks, arenas, sum(unused))
            )
        except gdb.error:
            return "StackPool (its library has no debug information)"


def printers():
    collection = gdb.printing.RegexpCollectionPrettyPrinter("fringe")
    collection.add_printer("Generator", r"^fringe::(\w+::)?Generator<.*>$", GeneratorPrinter)
    collection.add_printer(
        "Stack", r"^fringe::(OsStack|PooledStack|MallocStack|SpanStack)$", StackPrinter
    )
    collection.add_printer("StackPool", r"^fringe::StackPool$", PoolPrinter)
    return collection


gdb.printing.register_pretty_printer(None, printers(), replace=True)

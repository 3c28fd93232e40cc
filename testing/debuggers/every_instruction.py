"""For gdb: unwinds at every instruction of the resumes of stepped_program.

gdb's exit status is 0 if it found the functions above each instruction, and if the registers that it
restored at resume addresses are those in the link record.
"""

import gdb


# A switch alone has a dozen instructions on each side.
LEAST_INSTRUCTIONS = 2 * 12 * 3
LEAST_IN_GENERATOR = 12 * 3
LEAST_ARRIVALS = 12 * 3


class Counts:
    instructions = 0
    in_generator = 0  # Of these: with the generator's frame below the resumer's.
    lost = 0  # Of these: where the functions above the resumer were not found.
    arrivals = 0  # How often a frame was at a resume address.
    wrong = 0  # Registers that differed from the record.


def compare(frame):
    """Compares the registers of a frame that is at a resume address with the saved ones."""
    for side in ("resumer", "generator"):
        saved = gdb.parse_and_eval("the_record->" + side)
        if frame.pc() != int(saved["pc"]) & ~1:
            continue
        Counts.arrivals += 1
        fp = f"r{int(gdb.parse_and_eval('frame_pointer'))}"
        for word, register in (("sp", "sp"), ("fp", fp), ("bp", "r6")):
            found = int(frame.read_register(register)) & 0xFFFFFFFF
            if found != int(saved[word]):
                place = f"{frame.name()}, from {gdb.newest_frame().pc():#x}"
                print(f"{register} is {found:#x}, not {int(saved[word]):#x}, in {place}")
                Counts.wrong += 1


def visit():
    """Unwinds from the current instruction."""
    Counts.instructions += 1
    names = []
    physical = 0
    frame = gdb.newest_frame()
    try:
        while frame is not None:
            names.append(frame.name())
            if frame.type() != gdb.INLINE_FRAME:
                # The innermost frame's registers are those of the CPU.
                if physical > 0:
                    compare(frame)
                physical += 1
            frame = frame.older()
    except gdb.error as error:
        print(error)
    order = [name for name in names if name in ("AboveResumer", "main")]
    if order != ["AboveResumer", "main"] or names[-1] != "main":
        print(f"lost at {gdb.newest_frame().pc():#x}:", *names)
        Counts.lost += 1
    elif "Body" in names[: names.index("AboveResumer")]:
        Counts.in_generator += 1


def step_over_resume():
    """Steps from the beginning of Resumer to its return."""
    while gdb.newest_frame().name() != "AboveResumer":
        visit()
        gdb.execute("stepi", to_string=True)


gdb.execute("break *Resumer", to_string=True)
for _ in range(3):
    gdb.execute("continue", to_string=True)
    step_over_resume()
gdb.execute("kill", to_string=True)
print(
    f"{Counts.instructions} instructions, {Counts.in_generator} of them in the generator, "
    f"{Counts.lost} lost; {Counts.arrivals} frames at resume addresses, {Counts.wrong} wrong registers"
)
passed = (
    Counts.lost == 0
    and Counts.wrong == 0
    and Counts.instructions >= LEAST_INSTRUCTIONS
    and Counts.in_generator >= LEAST_IN_GENERATOR
    and Counts.arrivals >= LEAST_ARRIVALS
)
gdb.execute("quit 0" if passed else "quit 1")

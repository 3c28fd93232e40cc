// How the text of assembly names and describes functions in ELF and in Mach-O.
//
// For asm statements at file scope. Each macro except FRINGE_NEAR is the text of whole lines.

#ifndef FRINGE_ARCH_OBJECT_FORMAT_H_
#define FRINGE_ARCH_OBJECT_FORMAT_H_

#if defined(__APPLE__)

// The names of C's functions begin with an underscore.
#define FRINGE_TEXT ".pushsection __TEXT,__text,regular,pure_instructions\n"
#define FRINGE_HIDDEN(name) ".globl _" name "\n.private_extern _" name "\n"
#define FRINGE_FUNCTION(name) "_" name ":\n"
// The linker may move the code after each symbol away from the code before it, unless it is another
// entry of the same function.
#define FRINGE_ENTRY(name) ".alt_entry _" name "\n_" name ":\nL" name ":\n"
// An entry of the same function, as the operand of an instruction: here the assembler needs a local
// label.
#define FRINGE_NEAR(name) "L" name
#define FRINGE_END_FUNCTION(name)
// 0x9b is DW_EH_PE_indirect | DW_EH_PE_pcrel | DW_EH_PE_sdata4. The linker accepts no other form,
// and only the address of a symbol that it knows.
#define FRINGE_PERSONALITY(name) ".cfi_personality 0x9b, _" name "\n"
#define FRINGE_PERSONALITY_FUNCTION(name) FRINGE_HIDDEN(name) "_" name ":\n"

#else

#define FRINGE_TEXT ".pushsection .text\n"
#define FRINGE_HIDDEN(name) ".globl " name "\n.hidden " name "\n"
#define FRINGE_FUNCTION(name) ".type " name ", %function\n" name ":\n"
#define FRINGE_ENTRY(name) FRINGE_FUNCTION(name)
#define FRINGE_NEAR(name) name
#define FRINGE_END_FUNCTION(name) ".size " name ", . - " name "\n"
// 0x1b is DW_EH_PE_pcrel | DW_EH_PE_sdata4.
#define FRINGE_PERSONALITY(name) ".cfi_personality 0x1b, .L" name "\n"
#define FRINGE_PERSONALITY_FUNCTION(name) FRINGE_FUNCTION(".L" name)

#endif

#define FRINGE_END_TEXT ".popsection\n"

#endif  // FRINGE_ARCH_OBJECT_FORMAT_H_

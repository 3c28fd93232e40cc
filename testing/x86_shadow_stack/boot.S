# From the boot sector of a disk to `fringe_testing_start`, in 64-bit mode and ring 0; and the
# handlers of exceptions.
#
# Memory:
#   0x1000     page tables, which map every address below 4 GiB to itself
#   0x7c00     the boot sector, which loads the rest of the image behind itself
#   0x100000   .bss and the stacks (image.ld)

  .section .boot, "ax"
  .code16
  .globl fringe_testing_boot
fringe_testing_boot:
  cli
  cld
  ljmp $0, $.Lreal_mode
.Lreal_mode:
  xorw %ax, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %ss
  movw $fringe_testing_boot, %sp
  # The firmware passes the number of the disk in dl, and reads 32 KiB at a time.
  movw $fringe_testing_image_pieces, %cx
1:
  pushw %cx
  movb $0x42, %ah
  movw $.Laddress_packet, %si
  int $0x13
  jc .
  addw $0x800, .Lsegment
  addl $64, .Lsector
  popw %cx
  loop 1b
  # Address line 20.
  inb $0x92, %al
  orb $2, %al
  andb $0xfe, %al
  outb %al, $0x92
  lgdtl .Ldescriptors_pointer
  movl %cr0, %eax
  orb $1, %al                   # PE
  movl %eax, %cr0
  ljmpl $0x18, $.Lprotected_mode

  .code32
.Lprotected_mode:
  movl $0x10, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %ss
  # Memory is zero at reset. 7 is present, writable, for every ring; 0x87 is a page of 2 MiB too.
  movl $0x2007, 0x1000
  xorl %ecx, %ecx
  movl $0x3007, %eax
2:
  movl %eax, 0x2000(, %ecx, 8)
  addl $0x1000, %eax
  incl %ecx
  cmpl $4, %ecx
  jne 2b
  xorl %ecx, %ecx
  movl $0x87, %eax
3:
  movl %eax, 0x3000(, %ecx, 8)
  addl $0x200000, %eax
  incl %ecx
  cmpl $4 * 512, %ecx
  jne 3b
  movl $0x1000, %eax
  movl %eax, %cr3
  movl $0x620, %eax             # PAE, OSFXSR, OSXMMEXCPT
  movl %eax, %cr4
  movl $0xc0000080, %ecx        # EFER
  rdmsr
  orl $0x100, %eax              # LME
  wrmsr
  movl $0x80010033, %eax        # PG, WP, NE, ET, MP, PE
  movl %eax, %cr0
  ljmp $8, $.Llong_mode

  .balign 4
.Laddress_packet:
  .word 16, 64, 0
.Lsegment:
  .word 0x7e0
.Lsector:
  .long 1, 0
.Ldescriptors_pointer:
  .word fringe_testing_descriptors_end - fringe_testing_descriptors - 1
  .long fringe_testing_descriptors
  .org 510
  .word 0xaa55

  .text
  .code64
.Llong_mode:
  movl $fringe_testing_bss, %edi
  movl $fringe_testing_bss_end, %ecx
  subl %edi, %ecx
  xorl %eax, %eax
  rep stosb
  movl $fringe_testing_supervisor_stack, %esp
  xorl %ebp, %ebp
  call fringe_testing_start
  ud2

# One handler for each vector, 32 bytes apart. Some exceptions come with an error code.
  .balign 32
  .globl fringe_testing_handlers
fringe_testing_handlers:
  .set .Lvector, 0
  .rept 33
  .balign 32
  .if .Lvector != 8 && .Lvector != 10 && .Lvector != 11 && .Lvector != 12 && .Lvector != 13 && \
      .Lvector != 14 && .Lvector != 17 && .Lvector != 21
  pushq $0
  .endif
  pushq $.Lvector
  jmp .Lhandle
  .set .Lvector, .Lvector + 1
  .endr

# The C++ code uses general registers only (build flags), and none of those is callee-saved that is
# not restored.
.Lhandle:
  cld
  pushq %rax
  pushq %rcx
  pushq %rdx
  pushq %rsi
  pushq %rdi
  pushq %r8
  pushq %r9
  pushq %r10
  pushq %r11
  leaq 72(%rsp), %rdi           # the vector, the error code, and the CPU's five words
  call fringe_testing_handle
  popq %r11
  popq %r10
  popq %r9
  popq %r8
  popq %rdi
  popq %rsi
  popq %rdx
  popq %rcx
  popq %rax
  addq $16, %rsp
  iretq

# void fringe_testing_enter_ring_3(void (*function)()): calls it on the user's stack. Ports are
# accessible there.
  .globl fringe_testing_enter_ring_3
fringe_testing_enter_ring_3:
  movl $fringe_testing_user_stack - 8, %eax
  pushq $0x23
  pushq %rax
  pushq $0x3002                 # IOPL 3
  pushq $0x2b
  pushq %rdi
  iretq

# void fringe_testing_attempt(void (*function)()): calls it. An exception continues at
# `fringe_testing_attempt_failed`, with the stack pointer and the shadow stack pointer of the call.
  .globl fringe_testing_attempt
fringe_testing_attempt:
  endbr64
  pushq %rbx
  pushq %rbp
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  subq $8, %rsp
  xorl %eax, %eax
  rdsspq %rax
  movq %rsp, fringe_testing_attempt_sp(%rip)
  movq %rax, fringe_testing_attempt_ssp(%rip)
  call *%rdi
  .globl fringe_testing_attempt_failed
fringe_testing_attempt_failed:
  endbr64
  movq $0, fringe_testing_attempt_sp(%rip)
  addq $8, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbp
  popq %rbx
  ret

  .data
  .balign 8
  .globl fringe_testing_descriptors
fringe_testing_descriptors:
  .quad 0
  .quad 0x00af9a000000ffff      # 0x08: code of 64 bits, ring 0
  .quad 0x00cf92000000ffff      # 0x10: data, ring 0
  .quad 0x00cf9a000000ffff      # 0x18: code of 32 bits, for the start
  .quad 0x00cff2000000ffff      # 0x20: data, ring 3
  .quad 0x00affa000000ffff      # 0x28: code of 64 bits, ring 3
  .quad 0, 0                    # 0x30: the task, see machine.cc
fringe_testing_descriptors_end:

  .bss
  .balign 8
  .globl fringe_testing_attempt_sp, fringe_testing_attempt_ssp
fringe_testing_attempt_sp:
  .quad 0
fringe_testing_attempt_ssp:
  .quad 0

  .section .note.GNU-stack, "", @progbits

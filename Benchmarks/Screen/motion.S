// A boot sector that paints without end: 1024 by 768 pixels of 32 bits through Bochs's registers, each picture of
// another colour than the one before, written to the linear framebuffer of the adapter in PCI slot 2.
    .code16
    .globl _start
_start:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw $modes, %si
next:
    movw $0x1CE, %dx
    lodsw
    cmpw $0xFFFF, %ax
    je found
    outw %ax, %dx
    incw %dx
    lodsw
    outw %ax, %dx
    jmp next
found:
    movl $0x80001010, %eax
    movw $0xCF8, %dx
    outl %eax, %dx
    movw $0xCFC, %dx
    inl %dx, %eax
    andl $0xFFFFFFF0, %eax
    movl %eax, %ebx
    // The palette's access is closed: the picture shows.
    movw $0x3DA, %dx
    inb %dx, %al
    movw $0x3C0, %dx
    movb $0x20, %al
    outb %al, %dx
    lgdt descriptors
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $8, $flat
    .code32
flat:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    xorl %eax, %eax
    cld
again:
    movl %ebx, %edi
    movl $(1024 * 768), %ecx
    rep stosl
    addl $0x030507, %eax
    jmp again
    .align 8
table:
    .quad 0, 0x00CF9A000000FFFF, 0x00CF92000000FFFF
descriptors:
    .word . - table - 1
    .long table
modes:
    .word 4, 0, 1, 1024, 2, 768, 3, 32, 4, 0x41, 0xFFFF
    .org 510
    .word 0xAA55

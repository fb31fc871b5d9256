# A multiboot kernel that times ways out of a guest and back: it waits for a line on the serial port, does each kind of
# access many times, and prints "begin" and "end" around each. pci-testdev takes the accesses.

        .code32
        .set COUNT, 20000

        .section .text
        .globl _start
        .align 4
        .long 0x1BADB002, 0, -0x1BADB002

_start: mov $stack, %esp
        call find
        mov $text_ready, %esi
        call print
wait:   mov $0x3FD, %dx
1:      in %dx, %al
        test $1, %al
        jz 1b
        mov $0x3F8, %dx
        in %dx, %al
        cmp $'\n', %al
        jne wait
        call round
        jmp wait

# One of each kind.
round:  mov $text_port_write, %esi
        call begin
        mov $COUNT, %ecx
1:      out %al, $0x80
        loop 1b
        call end

        mov $text_port_read, %esi
        call begin
        mov $COUNT, %ecx
1:      in $0x80, %al
        loop 1b
        call end

        mov $text_memory_write, %esi
        mov $0, %al
        call choose_memory
        call begin
        mov $COUNT, %ecx
1:      mov %bl, (%edi)
        loop 1b
        call end

        mov $text_memory_read, %esi
        call begin
        mov $COUNT, %ecx
1:      mov (%edi), %al
        loop 1b
        call end

        mov $text_port_event, %esi
        mov $1, %al
        call choose_port
        call begin
        mov $COUNT, %ecx
        mov %bl, %al
        mov %di, %dx
1:      out %al, %dx
        loop 1b
        call end

        mov $text_memory_event, %esi
        mov $1, %al
        call choose_memory
        call begin
        mov $COUNT, %ecx
1:      mov %bl, (%edi)
        loop 1b
        call end
        ret

# Chooses a test: the address of its writes in EDI, their value in BL.
choose_memory:
        mov memory, %edx
        mov %al, (%edx)
        mov %edx, %edi
        add 4(%edx), %edi
        mov 8(%edx), %bl
        ret
choose_port:
        mov ports, %edx
        out %al, %dx
        mov %edx, %edi
        add $4, %edx
        in %dx, %eax
        add %eax, %edi
        mov ports, %edx
        add $8, %edx
        in %dx, %al
        mov %al, %bl
        ret

# The windows of pci-testdev on bus 0, switched on.
find:   mov $0x80000000, %ebx
1:      mov %ebx, %eax
        call configuration
        cmp $0x00051B36, %eax
        je 2f
        add $0x800, %ebx
        cmp $0x80010000, %ebx
        jb 1b
        mov $text_failed, %esi
        call print
        hlt
2:      lea 0x10(%ebx), %eax
        call configuration
        and $~15, %eax
        mov %eax, memory
        lea 0x14(%ebx), %eax
        call configuration
        and $~3, %eax
        mov %eax, ports
        lea 4(%ebx), %eax
        call configuration
        or $3, %eax
        out %eax, %dx
        ret

# The dword of configuration space at EAX, its data port in DX.
configuration:
        mov $0xCF8, %dx
        out %eax, %dx
        mov $0xCFC, %dx
        in %dx, %eax
        ret

begin:  push %esi
        mov $text_begin, %esi
        jmp 1f
end:    push %esi
        mov $text_end, %esi
1:      call print
        pop %esi
        push %esi
        call print
        mov $text_newline, %esi
        call print
        pop %esi
        ret

# The text at ESI, on the serial port.
print:  push %eax
        push %edx
        mov $0x3F8, %dx
1:      lodsb
        test %al, %al
        jz 2f
        out %al, %dx
        jmp 1b
2:      pop %edx
        pop %eax
        ret

        .section .data
text_ready:             .asciz "Apus: ready for work\n"
text_begin:             .asciz "begin "
text_end:               .asciz "end "
text_newline:           .asciz "\n"
text_failed:            .asciz "failed\n"
text_port_write:        .asciz "port write"
text_port_read:         .asciz "port read"
text_memory_write:      .asciz "memory write"
text_memory_read:       .asciz "memory read"
text_port_event:        .asciz "port event"
text_memory_event:      .asciz "memory event"
        .align 4
memory: .long 0
ports:  .long 0

        .section .bss
        .align 16
        .space 4096
stack:

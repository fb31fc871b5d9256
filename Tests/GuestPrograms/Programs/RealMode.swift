// Programs that begin in real-address mode.
extension GuestProgram {
    /// All of them.
    static var realMode: [GuestProgram] {
        [
            realArithmetic, realStrings, realStack, realPorts, realDecimal, realDivideError, realSoftwareInterrupt,
            realHalt, realUnreal,
        ]
    }

    /// 16-bit arithmetic: carries, products, quotients.
    static let realArithmetic = GuestProgram(
        "real: arithmetic", mode: .real,
        registers: [.rbx: 0x894, .rsi: 0xCF46, .rdi: 0x0, .rbp: 0x3E, .rcx: 0x3B2],
        code: [
            0xB8, 0xFF, 0x7F,  // mov ax,0x7fff
            0x83, 0xC0, 0x01,  // add ax,1
            0x9C,  // pushf
            0x5B,  // pop bx
            0x81, 0xE3, 0xD5, 0x08,  // and bx,0x8d5
            0xB9, 0xD2, 0x04,  // mov cx,1234
            0xB8, 0x2B, 0x00,  // mov ax,43
            0xF7, 0xE1,  // mul cx
            0x89, 0xC6,  // mov si,ax
            0x89, 0xD7,  // mov di,dx
            0xB9, 0xE8, 0x03,  // mov cx,1000
            0xF7, 0xF1,  // div cx
            0x89, 0xD5,  // mov bp,dx
            0xF9,  // stc
            0x19, 0xC1,  // sbb cx,ax
            0xB0, 0x00,  // mov al,0
            0xE6, 0xF4,  // out 0xf4,al
        ])

    /// String moves in both directions through two segments.
    static let realStrings = GuestProgram(
        "real: strings", mode: .real,
        registers: [.rcx: 0x0, .rbx: 0x4],
        memory: [
            GuestProgram.Bytes(0x10000, [0x68, 0x65, 0x6C, 0x6C, 0x6F, 0x68, 0x65, 0x6C, 0x6C, 0x6F])
        ],
        code: [
            0xB8, 0x00, 0x10,  // mov ax,0x1000
            0x8E, 0xC0,  // mov es,ax
            0x31, 0xC0,  // xor ax,ax
            0x8E, 0xD8,  // mov ds,ax
            0xBE, 0x26, 0x80,  // mov si,offset text
            0x31, 0xFF,  // xor di,di
            0xB9, 0x05, 0x00,  // mov cx,5
            0xFC,  // cld
            0xF3, 0xA4,  // rep movsb
            0xBE, 0x2A, 0x80,  // mov si,offset text + 4
            0xBF, 0x09, 0x00,  // mov di,9
            0xB9, 0x05, 0x00,  // mov cx,5
            0xFD,  // std
            0xF3, 0xA4,  // rep movsb
            0x89, 0xFB,  // mov bx,di
            0xB0, 0x00,  // mov al,0
            0xE6, 0xF4,  // out 0xf4,al
            0x68, 0x65, 0x6C, 0x6C, 0x6F,  // .ascii "hello"
        ])

    /// Calls, far returns, PUSHA and POPA, ENTER and LEAVE.
    static let realStack = GuestProgram(
        "real: stack", mode: .real,
        registers: [.rbx: 0x2, .rsi: 0x7C00, .rdi: 0x7BEE],
        code: [
            0xBB, 0x01, 0x00,  // mov bx,1
            0xE8, 0x05, 0x00,  // call near1
            0x0E,  // push cs
            0x68, 0x0D, 0x80,  // push offset after
            0xCB,  // retf
            0x43,  // inc bx
            0xC3,  // ret
            0xB8, 0x55, 0x00,  // mov ax,0x55
            0x60,  // pusha
            0x31, 0xC0,  // xor ax,ax
            0x61,  // popa
            0xC8, 0x10, 0x00, 0x00,  // enter 16,0
            0x89, 0xE7,  // mov di,sp
            0xC9,  // leave
            0x89, 0xE6,  // mov si,sp
            0xB0, 0x00,  // mov al,0
            0xE6, 0xF4,  // out 0xf4,al
        ])

    /// Port reads of all sizes, and a string written to a port.
    static let realPorts = GuestProgram(
        "real: ports", mode: .real,
        registers: [.rbx: 0x44332211, .rbp: 0x11, .rdi: 0x6],
        memory: [
            GuestProgram.Bytes(0x20000, [0x11, 0x22, 0x11, 0x22, 0x11, 0x22])
        ],
        output: [0x41, 0x70, 0x75, 0x73, 0x21, 0x0A],
        code: [
            0xBA, 0xE9, 0x00,  // mov dx,0xe9
            0x66, 0xED,  // in eax,dx
            0x66, 0x89, 0xC3,  // mov ebx,eax
            0xED,  // in ax,dx
            0x89, 0xC1,  // mov cx,ax
            0xEC,  // in al,dx
            0xB4, 0x00,  // mov ah,0
            0x89, 0xC5,  // mov bp,ax
            0xBE, 0x29, 0x80,  // mov si,offset text
            0xB9, 0x06, 0x00,  // mov cx,6
            0xFC,  // cld
            0xF3, 0x6E,  // rep outsb
            0x31, 0xFF,  // xor di,di
            0xB8, 0x00, 0x20,  // mov ax,0x2000
            0x8E, 0xC0,  // mov es,ax
            0xB9, 0x03, 0x00,  // mov cx,3
            0xF3, 0x6D,  // rep insw
            0xB0, 0x00,  // mov al,0
            0xE6, 0xF4,  // out 0xf4,al
            0x41, 0x70, 0x75, 0x73, 0x21, 0x0A,  // .ascii "Apus!\n"
        ])

    /// Decimal and ASCII adjustment.
    static let realDecimal = GuestProgram(
        "real: decimal", mode: .real, needs: .decimalAdjustment,
        registers: [.rbx: 0x114, .rcx: 0x188, .rsi: 0x407, .rdi: 0x603, .rbp: 0x3F],
        code: [
            0xB0, 0x79,  // mov al,0x79
            0x04, 0x35,  // add al,0x35
            0x27,  // daa
            0x88, 0xC3,  // mov bl,al
            0x0F, 0x92, 0xC7,  // setc bh
            0xB0, 0x35,  // mov al,0x35
            0x2C, 0x47,  // sub al,0x47
            0x2F,  // das
            0x88, 0xC1,  // mov cl,al
            0x0F, 0x92, 0xC5,  // setc ch
            0xB8, 0x09, 0x03,  // mov ax,0x0309
            0x04, 0x08,  // add al,8
            0x37,  // aaa
            0x89, 0xC6,  // mov si,ax
            0xB0, 0x3F,  // mov al,63
            0xD4, 0x0A,  // aam
            0x89, 0xC7,  // mov di,ax
            0xD5, 0x0A,  // aad
            0x89, 0xC5,  // mov bp,ax
            0xB0, 0x00,  // mov al,0
            0xE6, 0xF4,  // out 0xf4,al
        ])

    /// A division by zero reaches the handler of vector 0, and returns past it.
    static let realDivideError = GuestProgram(
        "real: divide error", mode: .real,
        registers: [.rbx: 0x600D, .rsi: 0x1234, .rdi: 0x7C00],
        code: [
            0xC7, 0x06, 0x00, 0x00, 0x18, 0x80,  // mov word ptr [0],offset handler
            0xC7, 0x06, 0x02, 0x00, 0x00, 0x00,  // mov word ptr [2],0
            0x31, 0xC9,  // xor cx,cx
            0xB8, 0x05, 0x00,  // mov ax,5
            0xF7, 0xF1,  // div cx
            0xBB, 0x0D, 0x60,  // mov bx,0x600d
            0xEB, 0x0A,  // jmp done
            0x89, 0xE5,  // mov bp,sp
            0x83, 0x46, 0x00, 0x02,  // add word ptr [bp],2
            0xBE, 0x34, 0x12,  // mov si,0x1234
            0xCF,  // iret
            0x89, 0xE7,  // mov di,sp
            0xB0, 0x00,  // mov al,0
            0xE6, 0xF4,  // out 0xf4,al
        ])

    /// INT 21H through the table of vectors.
    static let realSoftwareInterrupt = GuestProgram(
        "real: software interrupt", mode: .real, needs: .softwareInterrupts,
        registers: [.rbx: 0x3333],
        code: [
            0xC7, 0x06, 0x84, 0x00, 0x17, 0x80,  // mov word ptr [0x84],offset handler
            0xC7, 0x06, 0x86, 0x00, 0x00, 0x00,  // mov word ptr [0x86],0
            0xB8, 0x11, 0x11,  // mov ax,0x1111
            0xCD, 0x21,  // int 0x21
            0x89, 0xC3,  // mov bx,ax
            0xB0, 0x00,  // mov al,0
            0xE6, 0xF4,  // out 0xf4,al
            0x05, 0x22, 0x22,  // add ax,0x2222
            0xCF,  // iret
        ])

    /// HLT with interrupts off sleeps for ever.
    static let realHalt = GuestProgram(
        "real: halt", mode: .real, ending: .halted,
        registers: [.rbx: 0x4A17],
        code: [
            0xFA,  // cli
            0xBB, 0x17, 0x4A,  // mov bx,0x4a17
            0xF4,  // hlt
            0xB0, 0x00,  // mov al,0
            0xE6, 0xF4,  // out 0xf4,al
        ])

    /// Addressing with 32-bit prefixes, LOOP, XLAT, LEA.
    static let realUnreal = GuestProgram(
        "real: addressing", mode: .real,
        registers: [.rdi: 0x220, .rsi: 0x77, .rdx: 0x1C, .rbp: 0xFFFFFF80, .rcx: 0x0],
        code: [
            0x66, 0xBB, 0xF0, 0x01, 0x00, 0x00,  // mov ebx,0x1f0
            0x66, 0xB9, 0x04, 0x00, 0x00, 0x00,  // mov ecx,4
            0x67, 0x66, 0x8D, 0x44, 0xCB, 0x10,  // lea eax,[ebx+ecx*8+0x10]
            0x66, 0x89, 0xC7,  // mov edi,eax
            0xBB, 0x33, 0x80,  // mov bx,offset table
            0xB0, 0x02,  // mov al,2
            0xD7,  // xlatb
            0xB4, 0x00,  // mov ah,0
            0x89, 0xC6,  // mov si,ax
            0xB9, 0x07, 0x00,  // mov cx,7
            0x66, 0x31, 0xD2,  // xor edx,edx
            0x01, 0xCA,  // add dx,cx
            0xE2, 0xFC,  // loop again
            0x66, 0x0F, 0xBE, 0x2E, 0x33, 0x80,  // movsx ebp,byte ptr [table]
            0xB0, 0x00,  // mov al,0
            0xE6, 0xF4,  // out 0xf4,al
            0x80, 0x01, 0x77, 0x03,  // .byte 0x80,1,0x77,3
        ])
}

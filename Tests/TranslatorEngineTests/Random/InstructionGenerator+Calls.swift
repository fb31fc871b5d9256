import X86

// Loops that call functions, in their own page and in the next one, which call others, come back elsewhere, or not at all.
extension InstructionGenerator {
    /// A loop of 64-bit code that calls functions.
    mutating func makeCallingLoop() -> UserCase {
        var item = makeState()
        // Behind the loop, in this page or in the next: places from the code's page.
        let near = 1500 + Int(random.below(64))
        let places = (0..<4).map { number in
            random.chance(40) ? near + 500 * number : 4096 + 500 * number + Int(random.below(64))
        }
        var loop: [UInt8] = [0x41, 0xbe, UInt8(4 + random.below(12)), 0, 0, 0]  // mov r14d, turns
        let top = loop.count
        for _ in 0..<1 + random.below(3) {
            let part = calmInstructions(1)
            loop += calmInstructions(Int(random.below(3)))
            if random.chance(50) { loop += forwardBranch(UInt8(part.count)) + part }
            let number = Int(random.below(4))
            // What the function takes off the stack.
            for _ in 0..<removed(by: number, places) { loop += [0x6a, UInt8(random.below(128))] }
            loop += call(places[number], from: item.start + loop.count)
        }
        loop += [0x49, 0xff, 0xce, 0x0f, 0x85]  // dec r14; jnz
        loop += bytes(UInt64(bitPattern: Int64(top - loop.count - 4)), 4)
        item.code = loop
        for number in places.indices {
            let function = makeFunction(number, places)
            let padding = places[number] - item.start - item.code.count
            // Functions of this page and of the next are in the order of their places.
            if padding >= 0 {
                item.code += [UInt8](repeating: 0xcc, count: padding) + function
            } else {
                let first = places[number] - item.start
                item.code.replaceSubrange(first..<first + function.count, with: function)
            }
        }
        return item
    }

    /// CALL, and a NOP that some functions go around.
    private func call(_ place: Int, from here: Int) -> [UInt8] {
        [0xe8] + bytes(UInt64(bitPattern: Int64(place - here - 5)), 4) + [0x90]
    }
    /// The words that a function takes off the stack: some property of its place.
    private func removed(by number: Int, _ places: [Int]) -> Int { places[number] % 5 == 0 ? 1 + number % 2 : 0 }

    /// A function of at most 400 bytes, which may call those after it.
    private mutating func makeFunction(_ number: Int, _ places: [Int]) -> [UInt8] {
        let words = UInt8(removed(by: number, places) * 8)
        let end: [UInt8] = words == 0 ? [0xc3] : [0xc2, words, 0]
        var code = calmInstructions(Int(random.below(4)))
        let next = number + 1
        switch random.below(9) {
        case 0...1: break
        case 2: code = [0x53] + code + [0x5b]  // push rbx; pop rbx
        case 3 where next < places.count && removed(by: next, places) == 0:
            code += call(places[next], from: places[number] + code.count)
        case 4 where next < places.count && removed(by: next, places) == 0 && words == 0:
            // jmp
            return code + [0xe9] + bytes(UInt64(bitPattern: Int64(places[next] - places[number] - code.count - 5)), 4)
        case 5:
            // test dl, 1; jz; add qword ptr [rsp], 1: comes back behind the NOP.
            code += [0xf6, 0xc2, 1, 0x74, 5, 0x48, 0x83, 0x04, 0x24, 1]
        case 6 where words == 0:
            // and ecx, 7; dec ecx; jle; call itself
            code = [0x83, 0xe1, 7, 0xff, 0xc9, 0x7e, 6] + call(places[number], from: places[number] + 7) + code
        case 7:
            let part = calmInstructions(1)
            code += forwardBranch(UInt8(part.count)) + part
        default:
            // Whatever it is, with the stack too.
            if random.chance(20) { code += plain(2) }
        }
        return code + end
    }

    /// Instructions that leave the stack alone, most of 200 bytes.
    private mutating func calmInstructions(_ count: Int) -> [UInt8] {
        var code: [UInt8] = []
        var left = count
        while left > 0 {
            let bytes = plain(1)
            switch try? Decoder.decode(bytes, code: .bits64).mnemonic {
            case .push, .pop, .pushf, .popf, .enter, .leave: continue
            default: code += bytes
            }
            left -= 1
        }
        return code
    }
}

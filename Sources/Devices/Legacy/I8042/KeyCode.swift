/// A key by its place on the keyboard: its scan code of set 1, with bit 7 for the codes that have the prefix E0.
/// (QEMU's `number` key codes.)
public struct KeyCode: RawRepresentable, Hashable, Sendable {
    /// The number.
    public let rawValue: UInt8
    /// The key with that number.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Pause (and break, with control).
    public static let pause = KeyCode(rawValue: 0xC6)
    /// Print screen.
    public static let print = KeyCode(rawValue: 0xB7)
    /// System request: print screen with alt.
    public static let systemRequest = KeyCode(rawValue: 0x54)

    /// The key of a name of QEMU's `QKeyCode`, as `send-key` takes it.
    public init?(name: String) {
        guard let entry = KeyCode.names.first(where: { $0.name == name }) else { return nil }
        rawValue = entry.code
    }

    /// The key's name.
    public var name: String? { KeyCode.names.first { $0.code == rawValue }?.name }

    private struct Entry: Sendable {
        let name: String
        let code: UInt8
    }

    /// All names: words in the order of their keys, each run of keys with the code of its first.
    private static let names: [Entry] = {
        let runs: [(UInt8, String)] = [
            (0x01, "esc 1 2 3 4 5 6 7 8 9 0 minus equal backspace tab"),
            (0x10, "q w e r t y u i o p bracket_left bracket_right ret ctrl"),
            (0x1E, "a s d f g h j k l semicolon apostrophe grave_accent shift backslash"),
            (0x2C, "z x c v b n m comma dot slash shift_r kp_multiply alt spc caps_lock"),
            (0x3B, "f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 num_lock scroll_lock"),
            (0x47, "kp_7 kp_8 kp_9 kp_subtract kp_4 kp_5 kp_6 kp_add kp_1 kp_2 kp_3 kp_0 kp_decimal sysrq"),
            (0x56, "less f11 f12 kp_equals"), (0x5D, "f13 f14 f15"), (0x70, "hiragana lang2 lang1 ro"),
            (0x70, "katakanahiragana"), (0x79, "henkan"), (0x7B, "muhenkan"), (0x7D, "yen kp_comma"),
            (0x37, "asterisk"), (0x90, "audioprev"), (0x99, "audionext"), (0x9C, "kp_enter ctrl_r"),
            (0xA0, "volumemute calculator audioplay"), (0xA4, "audiostop"), (0xAE, "volumedown"), (0xB0, "volumeup"),
            (0xB2, "ac_home"), (0xB5, "kp_divide"), (0xB7, "print alt_r"), (0xC6, "pause home up pgup"),
            (0xCB, "left"), (0xCD, "right"), (0xCF, "end down pgdn insert delete"), (0xDB, "meta_l meta_r compose"),
            (0xDD, "menu power sleep"), (0xE3, "wake"), (0xE6, "ac_bookmarks ac_refresh"),
            (0xE9, "ac_forward ac_back computer mail mediaselect"),
        ]
        var entries: [Entry] = []
        for (first, words) in runs {
            for (index, word) in words.split(separator: " ").enumerated() {
                entries.append(Entry(name: String(word), code: first + UInt8(index)))
            }
        }
        return entries
    }()
}

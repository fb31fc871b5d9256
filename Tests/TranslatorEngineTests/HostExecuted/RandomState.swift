import TestSupport

extension SplitMix64 {
    mutating func below(_ bound: UInt64) -> UInt64 { next() % bound }
    mutating func chance(_ percent: UInt64) -> Bool { below(100) < percent }

    /// Eight bytes of which many are numbers of some interest, as doubles or as floats.
    mutating func lane() -> UInt64 {
        switch below(10) {
        case 0: return next()
        case 1: return 0
        case 2: return Double(Int64(bitPattern: next()) >> Int64(below(64))).bitPattern
        case 3:
            return [
                0x7ff0_0000_0000_0000, 0xfff0_0000_0000_0000, 0x7ff8_0000_0000_0000, 0x7ff4_0000_0000_0001,
                0x0000_0000_0000_0001, 0x800f_ffff_ffff_ffff, 0x7fef_ffff_ffff_ffff, 0x3ff0_0000_0000_0000,
                0x0010_0000_0000_0000, 0x8000_0000_0000_0000, 0x41e0_0000_0000_0000, 0x43e0_0000_0000_0000,
            ][Int(below(12))]
        case 4, 5: return UInt64(float()) << 32 | UInt64(float())
        case 6: return below(300)
        default: return Double(Float(bitPattern: UInt32(0x3000_0000 + below(0x2000_0000)))).bitPattern | below(4)
        }
    }
    private mutating func float() -> UInt32 {
        switch below(4) {
        case 0:
            return [
                0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0x7fa0_0001, 1, 0x807f_ffff, 0x7f7f_ffff, 0x0080_0000,
                0x4f00_0000,
                0x8000_0000,
            ][Int(below(10))]
        case 1: return UInt32(truncatingIfNeeded: next())
        default: return UInt32(0x3000_0000 + below(0x2000_0000)) | UInt32(below(2)) << 31
        }
    }
    /// Significand and exponent of an 80-bit real.
    mutating func extended() -> (UInt64, UInt16) {
        let sign = UInt16(below(2)) << 15
        switch below(10) {
        case 0: return (next(), UInt16(truncatingIfNeeded: next()))
        case 1: return (0, sign)
        case 2: return (next() | 1 << 63, sign | UInt16(0x3fff + below(70)))
        case 3: return ([1 << 63, 3 << 62, 5 << 61, 1 << 63 | 1, 0][Int(below(5))], sign | 0x7fff)
        case 4: return (next() >> 1, sign)
        case 5: return (next() | 1 << 63, sign | UInt16(1 + below(80)))
        case 6: return (next() | 1 << 63, sign | UInt16(0x7ffe - below(80)))
        default: return ((below(1000) | 1) << 54 | 1 << 63, sign | UInt16(0x3ff0 + below(32)))
        }
    }
}

import NetworkSwitch
import TestSupport
import Testing

/// Files over TFTP: requests and transfers as values, without a network.
@Suite struct TFTPTests {
    private func request(_ words: String..., kind: UInt8 = 1) throws(TFTPRequest.Fault) -> TFTPRequest {
        try TFTPRequest([0, kind] + words.flatMap { Array($0.utf8) + [0] })
    }
    /// What comes of packets, one after the other.
    private func steps(_ transfer: inout TFTPTransfer, _ packets: [UInt8]...) -> [TFTPTransfer.Step] {
        packets.map { transfer.take($0) }
    }
    private func acknowledge(_ number: Int) -> [UInt8] { [0, 4, UInt8(number >> 8 & 255), UInt8(number & 255)] }

    @Test func aFileGoesBlockByBlock() throws {
        var transfer = TFTPTransfer(try request("/pxe\\boot.img", "octet"), size: 1024)
        #expect(try request("/pxe\\boot.img", "OCTET").file == "pxe/boot.img")
        #expect(transfer.current == .block(1, 0..<512))
        // Of others' numbers and other packets nothing comes; nor does anything of an old one again. Its end falls on
        // that of a block: one without bytes says so.
        let came = steps(
            &transfer, acknowledge(7), [0, 3, 0, 1], acknowledge(1), acknowledge(1), acknowledge(2), acknowledge(3))
        #expect(came == [.wait, .wait, .block(2, 512..<1024), .wait, .block(3, 1024..<1024), .done])
    }

    @Test func optionsAreAgreedToFirst() throws {
        let asked = try request("a", "octet", "TSIZE", "0", "blksize", "9000", "windowsize", "4")
        var transfer = TFTPTransfer(asked, size: 2000)
        #expect(transfer.current == .agree([0, 6] + Array("blksize\01468\0tsize\02000\0".utf8)))
        let came = steps(&transfer, acknowledge(1), acknowledge(0), acknowledge(1), acknowledge(2))
        #expect(came == [.wait, .block(1, 0..<1468), .block(2, 1468..<2000), .done])
        // A machine that does not want it any more.
        var other = TFTPTransfer(asked, size: 2000)
        let end = steps(&other, [0, 5, 0, 8, 0])
        #expect(end == [.done])
    }

    @Test func numbersGoRound() throws {
        var transfer = TFTPTransfer(try request("a", "octet", "blksize", "8"), size: 8 * 65540)
        var step = transfer.take(acknowledge(0))
        var wrong = 0
        for number in 1...65540 {
            wrong += step == .block(UInt16(number & 0xFFFF), Int64(number - 1) * 8..<Int64(number) * 8) ? 0 : 1
            step = transfer.take(acknowledge(number & 0xFFFF))
        }
        let end = steps(&transfer, acknowledge(65541 & 0xFFFF))
        #expect(wrong == 0 && end == [.done])
    }

    @Test func nothingIsWrittenAndNothingLeadsOut() throws {
        #expect(throws: TFTPRequest.Fault.writes) { try request("a", "octet", kind: 2) }
        #expect(throws: TFTPRequest.Fault.mode("netascii")) { try request("a", "netascii") }
        for name in ["../a", "a/../../b", "..\\b", "", "/", "a\nb"] {
            #expect(throws: TFTPRequest.Fault.malformed) { try request(name, "octet") }
        }
        #expect(throws: TFTPRequest.Fault.malformed) { try TFTPRequest([0, 1, 65, 0]) }
        #expect(throws: TFTPRequest.Fault.malformed) { try TFTPRequest([0, 1] + [UInt8](repeating: 65, count: 2000)) }
    }

    @Test func nonsenseHarmsNobody() throws {
        var generator = FixedGenerator(seed: 11)
        for _ in 0..<FuzzRounds.times(3000) {
            var bytes = (0..<Int.random(in: 0..<60, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            let words = Array("\0octet\0blksize\0".utf8)
            if Bool.random(using: &generator) { bytes = [0, 1] + bytes + words + bytes + [0] }
            if let request = try? TFTPRequest(bytes) { #expect(!request.file.split(separator: "/").contains("..")) }
            var transfer = TFTPTransfer(
                try request("a", "octet"), size: Int64.random(in: 0..<5000, using: &generator))
            for number in 0..<4 {
                _ = transfer.take(bytes)
                if case .block(_, let range) = transfer.take(acknowledge(number)) { #expect(range.upperBound <= 5000) }
            }
        }
    }
}

import CZlib
import Display
import Testing

struct PictureTests {
    private func whole(_ picture: Picture) -> PictureRectangle {
        PictureRectangle(x: 0, y: 0, width: picture.width, height: picture.height)
    }

    @Test func changesAreWholeTilesSinceAStamp() {
        var picture = Picture(width: 50, height: 40)
        let before = picture.stamp
        picture.begin()
        var row = [UInt32](repeating: 0, count: 50)
        row[17] = 0xFF_0000
        picture.setRow(3, row)
        row[17] = 0
        row[49] = 1
        picture.setRow(20, row)

        #expect(
            picture.changes(since: before, in: whole(picture)) == [
                PictureRectangle(x: 16, y: 0, width: 16, height: 16),
                PictureRectangle(x: 48, y: 16, width: 2, height: 16),
            ])
        #expect(picture.changes(since: picture.stamp, in: whole(picture)).isEmpty)
        #expect(picture.hasChanged(since: before) && !picture.hasChanged(since: picture.stamp))
        #expect(
            picture.changes(since: before, in: PictureRectangle(x: 0, y: 0, width: 20, height: 10)) == [
                PictureRectangle(x: 16, y: 0, width: 4, height: 10)
            ])
    }

    @Test func equalRowsChangeNothingAndRunsJoin() {
        var picture = Picture(width: 64, height: 64)
        picture.begin()
        picture.fill(0x123456)
        let first = picture.stamp
        #expect(picture.changes(since: first - 1, in: whole(picture)) == [whole(picture)])
        picture.begin()
        picture.fill(0x123456)
        #expect(!picture.hasChanged(since: first))
    }

    @Test func aNewSizeIsAllNew() {
        var picture = Picture(width: 16, height: 16)
        picture.begin()
        picture.resize(width: 33, height: 1)
        #expect(picture.sizeStamp == picture.stamp)
        #expect(picture.changes(since: picture.stamp - 1, in: whole(picture)) == [whole(picture)])
        #expect(Picture(width: 0, height: 100_000).height == Picture.limit)
    }

    @Test func filesHoldThePixels() throws {
        var picture = Picture(width: 3, height: 2)
        picture.setRow(0, [0xAA11_2233, 0x445566, 0x778899])
        picture.setRow(1, [0, 0xFF_FFFF, 0x0102_0304])
        let pixels: [UInt8] = [
            0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0, 0, 0, 255, 255, 255, 2, 3, 4,
        ]
        #expect(PictureFile.ppm(picture) == Array("P6\n3 2\n255\n".utf8) + pixels)

        let png = PictureFile.png(picture)
        let magic: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 13, 10, 26, 10]
        #expect(Array(png.prefix(8)) == magic)
        let header: [UInt8] = [
            0, 0, 0, 13, 73, 72, 68, 82, 0, 0, 0, 3, 0, 0, 0, 2, 8, 2, 0, 0, 0, 18, 22, 241, 77,
        ]
        #expect(Array(png[8..<33]) == header)
        let length = png[33..<37].reduce(0) { $0 << 8 | Int($1) }
        let packed = Array(png[41..<(41 + length)])
        var raw = [UInt8](repeating: 9, count: 20)
        var count = UInt(raw.count)
        // SAFETY: the lengths are the arrays' own.
        #expect(unsafe uncompress(&raw, &count, packed, UInt(packed.count)) == Z_OK)
        let wanted = [0] + Array(pixels[..<9]) + [0] + Array(pixels[9...])
        #expect(raw == wanted)
    }
}

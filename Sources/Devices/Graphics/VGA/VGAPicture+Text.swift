internal import Display

extension VGAPicture {
    /// What it shows as characters. Colours are those of the attributes, whatever the palette makes of them.
    var text: ScreenText {
        guard isShown else { return .blank }
        if model.vbe.isOn { return .graphics(width: model.vbe.width, height: model.vbe.height) }
        let (width, height) = (characters * 8, verticalEnd + 1)
        guard model.graphics[VGAModel.Graphics.miscellaneous] & 1 == 0 else {
            let isHalved = model.sequencer[VGAModel.Sequencer.clocking] & 0x08 != 0
            let isBytes = model.graphics[VGAModel.Graphics.mode] >> 5 & 3 >= 2
            return .graphics(width: width * (isHalved && !isBytes ? 2 : 1), height: height)
        }
        let maximum = model.crtc[VGAModel.CRTC.maximumScan]
        let scans = (Int(maximum & 0x1F) + 1) << Int(maximum >> 7)
        var page = TextPage(columns: characters, rows: height / scans)
        let blinks = model.attribute[VGAModel.Attribute.mode] & 0x08 != 0
        let cursor = cursorLines?.place
        for row in 0..<page.rows {
            for column in 0..<page.columns {
                let place = start + row * (stride / 4) + column
                let planes = memory[planes: place]
                let attribute = UInt8(truncatingIfNeeded: planes >> 8)
                let index = row * page.columns + column
                page.cells[index] = TextPage.Cell(
                    code: UInt8(truncatingIfNeeded: planes), ink: Self.colour(attribute & 15),
                    paper: Self.colour(attribute >> 4 & (blinks ? 7 : 15)), blinks: blinks && attribute & 0x80 != 0)
                if place == cursor { page.cursor = index }
            }
        }
        return .page(page)
    }

    /// A colour of VGA's in the order of ECMA-48: blue and red change places.
    private static func colour(_ index: UInt8) -> UInt8 { index & 0x0A | index >> 2 & 1 | index << 2 & 4 }
}

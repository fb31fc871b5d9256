import Synchronization

// The modern structures. virtio 1.2, 4.1.4.3 to 4.1.4.6.
extension VirtioPCI {
    /// Offsets in the common configuration structure.
    private enum Common {
        static let deviceFeatureSelect: UInt64 = 0
        static let deviceFeature: UInt64 = 4
        static let driverFeatureSelect: UInt64 = 8
        static let driverFeature: UInt64 = 12
        static let configurationVector: UInt64 = 16
        static let queueCount: UInt64 = 18
        static let status: UInt64 = 20
        static let generation: UInt64 = 21
        static let queueSelect: UInt64 = 22
        static let queueSize: UInt64 = 24
        static let queueVector: UInt64 = 26
        static let queueEnable: UInt64 = 28
        static let queueNotifyOffset: UInt64 = 30
        static let queueDescriptors: UInt64 = 32
        static let queueDriver: UInt64 = 40
        static let queueDevice: UInt64 = 48
    }

    func read(_ structure: Structure, offset: UInt64, size: Int) -> UInt64 {
        if size == 8 {
            return read(structure, offset: offset, size: 4) | read(structure, offset: offset + 4, size: 4) << 32
        }
        switch structure {
        case .common: return UInt64(readCommon(offset))
        case .isr: return offset == 0 ? UInt64(core.interrupt.takeISR()) : 0
        case .device: return UInt64(device.readConfiguration(offset: Int(offset), size: size))
        case .notify: return 0
        }
    }

    func write(_ structure: Structure, offset: UInt64, size: Int, value: UInt64) {
        if size == 8 {
            write(structure, offset: offset, size: 4, value: value & 0xFFFF_FFFF)
            write(structure, offset: offset + 4, size: 4, value: value >> 32)
            return
        }
        switch structure {
        case .common: writeCommon(offset, UInt32(truncatingIfNeeded: value))
        case .isr: break
        case .device:
            device.writeConfiguration(offset: Int(offset), size: size, value: UInt32(truncatingIfNeeded: value))
        // The place says which queue; the value repeats it.
        case .notify: if offset % Self.notifyMultiplier == 0 { core.notify(offset / Self.notifyMultiplier) }
        }
    }

    private func readCommon(_ offset: UInt64) -> UInt32 {
        switch offset {
        case Common.configurationVector: return UInt32(core.interrupt.configurationVector)
        case Common.queueCount: return UInt32(core.queueSizes.count)
        case Common.status: return UInt32(core.status)
        case Common.generation: return core.interrupt.generation & 0xFF
        default: break
        }
        return core.state.withLock { state in
            let queue = core.selected(state)
            return switch offset {
            case Common.deviceFeatureSelect: state.deviceFeatureSelect
            case Common.deviceFeature: modernFeatures(state.deviceFeatureSelect)
            case Common.driverFeatureSelect: state.driverFeatureSelect
            case Common.driverFeature:
                state.driverFeatureSelect < 2
                    ? UInt32(truncatingIfNeeded: state.driverFeatures >> UInt64(state.driverFeatureSelect * 32)) : 0
            case Common.queueSelect: state.queueSelect
            case Common.queueSize: UInt32(queue?.size ?? 0)
            case Common.queueVector: UInt32(core.interrupt.vector(ofQueue: Int(state.queueSelect)))
            case Common.queueEnable: queue?.isEnabled == true ? 1 : 0
            case Common.queueNotifyOffset: queue == nil ? 0 : state.queueSelect
            case Common.queueDescriptors: UInt32(truncatingIfNeeded: queue?.descriptors ?? 0)
            case Common.queueDescriptors + 4: UInt32(truncatingIfNeeded: (queue?.descriptors ?? 0) >> 32)
            case Common.queueDriver: UInt32(truncatingIfNeeded: queue?.driver ?? 0)
            case Common.queueDriver + 4: UInt32(truncatingIfNeeded: (queue?.driver ?? 0) >> 32)
            case Common.queueDevice: UInt32(truncatingIfNeeded: queue?.device ?? 0)
            case Common.queueDevice + 4: UInt32(truncatingIfNeeded: (queue?.device ?? 0) >> 32)
            default: 0
            }
        }
    }

    /// Drivers that come this way are not legacy ones: bits of those are not for them.
    private func modernFeatures(_ select: UInt32) -> UInt32 {
        let bits = core.deviceFeatures(select)
        return select == 0 ? bits & ~UInt32(VirtioFeature.anyLayout) : bits
    }

    private func writeCommon(_ offset: UInt64, _ word: UInt32) {
        switch offset {
        case Common.configurationVector: core.interrupt.setConfigurationVector(usable(word))
        case Common.status: core.writeStatus(UInt8(truncatingIfNeeded: word))
        default: core.state.withLock { writeCommon(offset, word, &$0) }
        }
    }

    private func writeCommon(_ offset: UInt64, _ word: UInt32, _ state: inout VirtioCore.State) {
        switch offset {
        case Common.deviceFeatureSelect: state.deviceFeatureSelect = word
        case Common.driverFeatureSelect: state.driverFeatureSelect = word
        case Common.driverFeature: core.setDriverFeatures(state.driverFeatureSelect, word, &state)
        case Common.queueSelect: state.queueSelect = word & 0xFFFF
        case Common.queueSize: core.setSize(word & 0xFFFF, &state)
        case Common.queueVector: core.interrupt.setVector(usable(word), ofQueue: Int(state.queueSelect))
        // 4.1.4.3.2: a driver writes 1 only.
        case Common.queueEnable: if word & 0xFFFF == 1 { core.changeQueue(&state) { $0.isEnabled = true } }
        case Common.queueDescriptors: core.changeQueue(&state) { $0.descriptors.setLow(word) }
        case Common.queueDescriptors + 4: core.changeQueue(&state) { $0.descriptors.setHigh(word) }
        case Common.queueDriver: core.changeQueue(&state) { $0.driver.setLow(word) }
        case Common.queueDriver + 4: core.changeQueue(&state) { $0.driver.setHigh(word) }
        case Common.queueDevice: core.changeQueue(&state) { $0.device.setLow(word) }
        case Common.queueDevice + 4: core.changeQueue(&state) { $0.device.setHigh(word) }
        default: break
        }
    }

    /// A vector that exists, or none: the driver reads back which (4.1.5.1.2.1).
    func usable(_ word: UInt32) -> UInt16 {
        let vector = UInt16(truncatingIfNeeded: word)
        return Int(vector) < vectorCount ? vector : VirtioInterrupt.noVector
    }
}

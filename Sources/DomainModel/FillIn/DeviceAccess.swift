extension Domain {
    /// The shared parts of a device, `nil` where there is no such device.
    subscript(info device: PCIDevice) -> DeviceInfo? {
        get {
            switch device {
            case .controller(let index): devices.controllers[index].info
            case .filesystem(let index): devices.filesystems[index].info
            case .interface(let index): devices.interfaces[index].info
            case .sound(let index): devices.sounds[index].info
            case .disk(let index): devices.disks[index].info
            case .hostdev(let index): devices.hostdevs[index].info
            case .memballoon: devices.memballoon?.info
            case .rng(let index): devices.rngs[index].info
            case .watchdog(let index): devices.watchdogs[index].info
            case .video(let index): devices.videos[index].info
            case .shmem(let index): devices.sharedMemories[index].info
            case .input(let index): devices.inputs[index].info
            case .serial(let index): devices.serials[index].info
            case .vsock: devices.vsock?.info
            case .memory(let index): devices.memories[index].info
            case .crypto(let index): devices.cryptos[index].info
            case .iommu: devices.iommu?.info
            }
        }
        set {
            guard let newValue else { return }
            switch device {
            case .controller(let index): devices.controllers[index].info = newValue
            case .filesystem(let index): devices.filesystems[index].info = newValue
            case .interface(let index): devices.interfaces[index].info = newValue
            case .sound(let index): devices.sounds[index].info = newValue
            case .disk(let index): devices.disks[index].info = newValue
            case .hostdev(let index): devices.hostdevs[index].info = newValue
            case .memballoon: devices.memballoon?.info = newValue
            case .rng(let index): devices.rngs[index].info = newValue
            case .watchdog(let index): devices.watchdogs[index].info = newValue
            case .video(let index): devices.videos[index].info = newValue
            case .shmem(let index): devices.sharedMemories[index].info = newValue
            case .input(let index): devices.inputs[index].info = newValue
            case .serial(let index): devices.serials[index].info = newValue
            case .vsock: devices.vsock?.info = newValue
            case .memory(let index): devices.memories[index].info = newValue
            case .crypto(let index): devices.cryptos[index].info = newValue
            case .iommu: devices.iommu?.info = newValue
            }
        }
    }
}

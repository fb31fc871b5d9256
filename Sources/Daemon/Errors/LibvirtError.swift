public import RPCWire

/// What a call fails with: libvirt's number, who says it, and a text with its category in front, as clients show it.
public struct LibvirtError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A `virErrorNumber`.
    public var code: Int32
    /// A `virErrorDomain`: the driver.
    public var domain: Int32
    /// The whole text.
    public var message: String
    /// The text without its category; nil where that is all there is.
    public var detail: String?

    /// An error of the given parts.
    public init(code: Int32, domain: Int32 = VirErrorDomain.qemu, message: String, detail: String? = nil) {
        self.code = code
        self.domain = domain
        self.message = message
        self.detail = detail
    }

    /// The text.
    public var description: String { message }

    /// What goes over the wire.
    var remote: RemoteError {
        let format = detail.map { detail in
            message.hasSuffix(detail) ? String(message.dropLast(detail.count)) + "%s" : "%s"
        }
        return RemoteError(code: code, domain: domain, message: message, detail: detail, format: format ?? "%s")
    }

    private static func make(_ code: Int32, _ category: String, _ detail: String) -> LibvirtError {
        LibvirtError(code: code, message: category + ": " + detail, detail: detail)
    }

    /// The same error, said by another driver.
    func from(_ domain: Int32) -> LibvirtError {
        var error = self
        error.domain = domain
        return error
    }
}

// The categories of libvirt's texts.
extension LibvirtError {
    static func internalError(_ detail: String) -> LibvirtError {
        make(VirErrorNumber.internalError, "internal error", detail)
    }
    static func noSupport(_ detail: String) -> LibvirtError {
        make(VirErrorNumber.noSupport, "this function is not supported by the connection driver", detail)
    }
    static func invalidArgument(_ detail: String) -> LibvirtError {
        make(VirErrorNumber.invalidArg, "invalid argument", detail)
    }
    static func operationFailed(_ detail: String) -> LibvirtError {
        make(VirErrorNumber.operationFailed, "operation failed", detail)
    }
    static func operationInvalid(_ detail: String) -> LibvirtError {
        make(VirErrorNumber.operationInvalid, "Requested operation is not valid", detail)
    }
    static func operationDenied(_ detail: String) -> LibvirtError {
        make(VirErrorNumber.operationDenied, "operation forbidden", detail)
    }
    static func operationUnsupported(_ detail: String) -> LibvirtError {
        make(VirErrorNumber.operationUnsupported, "Operation not supported", detail)
    }
    static func operationTimeout(_ detail: String) -> LibvirtError {
        make(VirErrorNumber.operationTimeout, "Timed out during operation", detail)
    }
    static func noDomain(_ detail: String) -> LibvirtError {
        make(VirErrorNumber.noDomain, "Domain not found", detail)
    }
    static func configUnsupported(_ detail: String) -> LibvirtError {
        make(VirErrorNumber.configUnsupported, "unsupported configuration", detail)
    }
    static func xml(_ detail: String) -> LibvirtError { make(VirErrorNumber.xmlError, "XML error", detail) }
    static func noMetadata(_ detail: String) -> LibvirtError {
        make(VirErrorNumber.noDomainMetadata, "metadata not found", detail)
    }
    static func noSnapshot(_ detail: String) -> LibvirtError {
        make(VirErrorNumber.noDomainSnapshot, "Domain snapshot not found", detail)
    }
    static func system(_ detail: String) -> LibvirtError {
        LibvirtError(code: VirErrorNumber.systemError, message: detail, detail: detail)
    }
    static func rpc(_ detail: String) -> LibvirtError {
        LibvirtError(code: VirErrorNumber.rpc, domain: VirErrorDomain.rpc, message: detail, detail: detail)
    }
}

/// Who stands on whom.
extension BlockGraph {
    /// A node that stands on another, other than by filters and as the image above it, and may write to it.
    public func writer(above node: any BlockNode) -> (any BlockNode)? {
        nodes.first { above in
            !above.isReadOnly && !(above is any FilterNode)
                && above.children.contains { $0.role != "backing" && $0.node === node }
        }
    }

    /// Whether no node stands on another.
    public func isRoot(_ node: any BlockNode) -> Bool {
        !nodes.contains { above in above.children.contains { $0.node === node } }
    }

    /// The node right above another in a chain of backing images.
    public func overlay(of node: any BlockNode) -> (any BlockNode)? {
        nodes.first { above in above.children.contains { $0.role == "backing" && $0.node === node } }
    }

    /// The nodes of a chain of backing images, from the top; filters are none of them.
    public static func chain(_ top: any BlockNode) -> [any BlockNode] {
        var chain = [top.unfiltered]
        while let below = chain.last?.children.first(where: { $0.role == "backing" })?.node {
            chain.append(below.unfiltered)
        }
        return chain
    }
}

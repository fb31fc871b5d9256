/// A point in the work of a format or of the block layer, by the name that QEMU's `blkdebug` gives it
/// (`BlkdebugEvent` of its QAPI schema). A node tells the one below when it gets there.
public enum BlockEvent: String, Sendable, CaseIterable {
    // The active table, and the larger one that takes its place.
    case l1Update = "l1_update"
    case l1GrowAllocTable = "l1_grow_alloc_table"
    case l1GrowWriteTable = "l1_grow_write_table"
    case l1GrowActivateTable = "l1_grow_activate_table"
    case l1ShrinkWriteTable = "l1_shrink_write_table"
    case l1ShrinkFreeL2Clusters = "l1_shrink_free_l2_clusters"
    // Second-level tables.
    case l2Load = "l2_load"
    case l2Update = "l2_update"
    case l2UpdateCompressed = "l2_update_compressed"
    case l2AllocCowRead = "l2_alloc_cow_read"
    case l2AllocWrite = "l2_alloc_write"
    // The guest's bytes.
    case readAIO = "read_aio"
    case readBackingAIO = "read_backing_aio"
    case readCompressed = "read_compressed"
    case writeAIO = "write_aio"
    case writeCompressed = "write_compressed"
    case vmstateLoad = "vmstate_load"
    case vmstateSave = "vmstate_save"
    case cowRead = "cow_read"
    case cowWrite = "cow_write"
    // Reference counts.
    case reftableLoad = "reftable_load"
    case reftableGrow = "reftable_grow"
    case reftableUpdate = "reftable_update"
    case refblockLoad = "refblock_load"
    case refblockUpdate = "refblock_update"
    case refblockUpdatePart = "refblock_update_part"
    case refblockAlloc = "refblock_alloc"
    case refblockAllocHookup = "refblock_alloc_hookup"
    case refblockAllocWrite = "refblock_alloc_write"
    case refblockAllocWriteBlocks = "refblock_alloc_write_blocks"
    case refblockAllocWriteTable = "refblock_alloc_write_table"
    case refblockAllocSwitchTable = "refblock_alloc_switch_table"
    // Clusters.
    case clusterAlloc = "cluster_alloc"
    case clusterAllocBytes = "cluster_alloc_bytes"
    case clusterAllocSpace = "cluster_alloc_space"
    case clusterFree = "cluster_free"
    // The block layer.
    case flushToOS = "flush_to_os"
    case flushToDisk = "flush_to_disk"
    case pwritevRMWHead = "pwritev_rmw_head"
    case pwritevRMWAfterHead = "pwritev_rmw_after_head"
    case pwritevRMWTail = "pwritev_rmw_tail"
    case pwritevRMWAfterTail = "pwritev_rmw_after_tail"
    case pwritev = "pwritev"
    case pwritevZero = "pwritev_zero"
    case pwritevDone = "pwritev_done"
    case emptyImagePrepare = "empty_image_prepare"
    case corWrite = "cor_write"
    /// When the image is opened.
    case none = "none"
}

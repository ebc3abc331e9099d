/// The findings in segments after an end that left something in them.
enum SegmentScan {
    struct Found: Equatable {
        var header: GroupCoding.Header
        var offset: Int
    }

    /// The groups that lie in a segment whole, wherever they begin: those with proposals behind `folded`, and the one that ends with it.
    /// All boundaries of blocks are looked at that are in no such group. O(bytes).
    static func groups(in segment: UnsafeRawBufferPointer, after folded: Int64, _ epoch: Epoch) -> [Found] {
        var found: [Found] = []
        var offset = 0
        while offset + GroupCoding.block <= segment.count {
            let rest = UnsafeRawBufferPointer(rebasing: segment[offset...])
            guard let header = GroupCoding.header(rest, epoch), header.last >= folded,
                GroupCoding.body(rest, header, epoch) != nil
            else {
                offset += GroupCoding.block
                continue
            }
            found.append(Found(header: header, offset: offset))
            offset += header.bytes
        }
        return found
    }

    /// Why groups, in the order of their numbers, do not go on behind `folded` without a gap; nil where they do.
    static func gap(_ headers: [GroupCoding.Header], after folded: Int64) -> String? {
        var end = folded
        for header in headers {
            guard header.first == end + 1 else {
                return "goes on with \(header.first) behind \(end)"
            }
            end = header.last
        }
        return nil
    }
}

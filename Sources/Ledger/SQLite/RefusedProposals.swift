/// The numbers of the proposals of the journal that are not kept: a fold passes them over.
struct RefusedProposals: Sendable {
    /// Ascending.
    private var numbers: [Int64] = []

    /// O(1) where they come in their order.
    mutating func add(_ number: Int64) {
        guard let last = numbers.last, last >= number else { return numbers.append(number) }
        let place = place(of: number)
        if numbers[place] != number { numbers.insert(number, at: place) }
    }

    /// O(log n).
    func contains(_ number: Int64) -> Bool {
        let place = place(of: number)
        return place < numbers.count && numbers[place] == number
    }

    /// Drops those up to a number, which is folded for good. O(n), and O(1) where there are none.
    mutating func forget(through number: Int64) {
        guard let first = numbers.first, first <= number else { return }
        numbers.removeFirst(place(of: number + 1))
    }

    /// Of the first that is no less.
    private func place(of number: Int64) -> Int {
        var (low, high) = (0, numbers.count)
        while low < high {
            let middle = (low + high) / 2
            if numbers[middle] < number { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

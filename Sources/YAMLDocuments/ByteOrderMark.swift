extension String {
    /// The text without the mark (U+FEFF) that some editors put in front of it. O(1) where there is none, else O(length).
    public var withoutByteOrderMark: String {
        unicodeScalars.first == "\u{FEFF}" ? String(unicodeScalars.dropFirst()) : self
    }
}

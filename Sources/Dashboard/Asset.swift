/// A file of the page. They are a part of the program, so that nothing has to be found where it runs.
enum Asset: String, CaseIterable {
    case index = "index.html"
    case style = "style.css"
    case main = "main.js"
    case server = "server.js"
    case addresses = "addresses.js"
    case elements = "elements.js"
    case ranges = "ranges.js"
    case rates = "rates.js"
    case map = "map.js"
    case mapViews = "mapviews.js"
    case use = "use.js"
    case search = "search.js"
    case changes = "changes.js"
    case health = "health.js"
    case metrics = "metrics.js"

    var bytes: [UInt8] {
        switch self {
        case .index: PackageResources.index_html
        case .style: PackageResources.style_css
        case .main: PackageResources.main_js
        case .server: PackageResources.server_js
        case .addresses: PackageResources.addresses_js
        case .elements: PackageResources.elements_js
        case .ranges: PackageResources.ranges_js
        case .rates: PackageResources.rates_js
        case .map: PackageResources.map_js
        case .mapViews: PackageResources.mapviews_js
        case .use: PackageResources.use_js
        case .search: PackageResources.search_js
        case .changes: PackageResources.changes_js
        case .health: PackageResources.health_js
        case .metrics: PackageResources.metrics_js
        }
    }

    var mediaType: String {
        switch self {
        case .index: "text/html; charset=utf-8"
        case .style: "text/css; charset=utf-8"
        default: "text/javascript; charset=utf-8"
        }
    }
}

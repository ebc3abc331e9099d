allocatorTable()

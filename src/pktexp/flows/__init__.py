"""Flow records: read from the kernel, merged into a table and into sums, checked against totals."""

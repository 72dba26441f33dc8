"""From R's calls to readable Python."""

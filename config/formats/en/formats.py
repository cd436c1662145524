"""ISO 8601, to be read by people, and every time with its zone: whoever reads the desk may be in any."""

DATE_FORMAT = "Y-m-d"
DATETIME_FORMAT = "Y-m-d H:i T"

password = "hunter22-now"
PIN = "x"  # password = "s3cr3t!pw" holdpoint:allow password

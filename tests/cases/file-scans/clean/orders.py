import os

password = os.environ["DB_PASSWORD"]

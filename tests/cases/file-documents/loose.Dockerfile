FROM python
COPY . /app

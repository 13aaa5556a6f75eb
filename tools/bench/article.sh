#!/usr/bin/env bash
# The article's steps on a bare host, for a user with sudo. The app is ~/article.py.
# Errors of the article are corrected (docs/article.md).
set -euo pipefail
cd
export DEBIAN_FRONTEND=noninteractive
# pip of Debian 12 and older uses its own list of CAs
export PIP_CERT=/etc/ssl/certs/ca-certificates.crt

sudo apt-get -q update
sudo -E apt-get -q -y install python3-venv
python3 -m venv myflask
cd myflask
# shellcheck source=/dev/null
source ./bin/activate
# Python 3.6 has a pip whose default index no longer exists
for pip in ../pip-*.whl; do
  [ ! -e "$pip" ] || pip3 install "$pip"
done
pip3 install Flask
pip3 install python-dotenv
mv ../article.py app.py
cat >.flaskenv <<'FILE'
FLASK_ENV=production
FLASK_APP=app.py
FLASK_RUN_PORT=5000
FILE
pip3 install gunicorn

sudo -E apt-get -q -y install supervisor
sudo tee /etc/supervisor/conf.d/flaskrandom.conf >/dev/null <<FILE
[program:flaskrandom]
command=$PWD/bin/gunicorn -w 3 -b 0.0.0.0:5000 app:app
directory=$PWD/
user=$USER
autostart=true
autorestart=true
stopasgroup=true
killasgroup=true
FILE
sudo supervisorctl reread
sudo supervisorctl update

sudo -E apt-get -q -y install nginx
sudo tee /etc/nginx/sites-available/default >/dev/null <<'FILE'
server {
	listen 80 default_server;
	listen [::]:80 default_server;

	root /var/www/html;

	index index.html index.htm index.php index.nginx-debian.html;

	server_name _;

	location / {
		proxy_pass http://127.0.0.1:5000/;
	}
}
FILE
sudo service nginx reload

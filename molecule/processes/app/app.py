"""An app whose jobs run in four queues: Celery, RQ, Huey and Dramatiq."""

import flask
from celery_jobs import job as celery_job
from dramatiq_jobs import job as dramatiq_job
from huey_jobs import job as huey_job
from records import RELEASE
from redis import Redis
from rq import Queue

app = flask.Flask(__name__)
app.secret_key = 'of a test'
redis = Redis()
QUEUES = {
    'celery': celery_job.delay,
    'rq': lambda *job: Queue('jobs', connection=redis).enqueue('rq_jobs.job', *job, job_timeout=600),
    'huey': huey_job,
    'dramatiq': dramatiq_job.send,
}


@app.route('/', methods=['GET', 'POST'])
def index():
    return flask.jsonify(release=RELEASE, echo=flask.request.get_data(as_text=True))


@app.route('/slow', methods=['GET', 'POST'])
def slow():
    return index()


@app.route('/jobs', methods=['POST'])
def jobs():
    for queue, number, seconds in flask.request.get_json():
        QUEUES[queue](number, seconds)
    return 'accepted'


@app.route('/static/extension.css')
def extension():
    return 'of an extension'


# the same files by the app, for comparison
app.add_url_rule('/own/<path:filename>', view_func=app.send_static_file, endpoint='own')


@app.route('/where')
def where():
    flask.session['seen'] = True
    request = flask.request
    return flask.jsonify(root=request.script_root, path=request.path, static=flask.url_for('static', filename='style.css'))


@app.route('/invoice/<name>')
def invoice(name):
    return '', 200, {'X-Accel-Redirect': '/protected/' + name}

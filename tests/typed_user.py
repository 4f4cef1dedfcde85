"""A user's script, checked by mypy as strictly as it can; it is not run."""

from pathlib import Path

import svdlib

samples = svdlib.load_audio("song.mp3")
detector = svdlib.pretrained("detector")
log_mel = detector.standardizer(svdlib.LogMel()(samples))
singing = detector.predict_song(log_mel) > detector.threshold
feature = detector.features(log_mel[None, None, :115], ["mp6"])["mp6"]
inverter = svdlib.pretrained("inverter", layer="mp6", variant="aligned")
sound = svdlib.sonify(detector.standardizer.inverse(inverter(feature)[0, 0]))
svdlib.save_audio(Path(inverter.layer + ".wav"), sound)

corpus = svdlib.open_corpus("folder:my_songs")
songs = {name: svdlib.load_songs(corpus.split(name)) for name in ("train", "valid", "test")}
fitted = svdlib.fit_detector(songs["train"], songs["valid"], plan=svdlib.DetectorPlan(epochs=2), folder="runs/mine")
banks = {name: svdlib.ExcerptBank(part, standardizer=fitted.detector.standardizer) for name, part in songs.items()}
plan = svdlib.TrainingPlan(epochs=2, steps_per_epoch=20)
run = svdlib.fit_inverters(fitted.detector, banks["train"], banks["valid"], layers=["fc8"], plan=plan, resume=True)
scores = svdlib.evaluate_inverters(fitted.detector, run.inverters, banks["test"])
text: str = f"{scores['fc8'].nre:.3f} {svdlib.invert_song('song.mp3', at=3.0).probability:.2f} {singing.sum().item()}"

"""What any long computation needs: devices, several processes, storage, resumable runs, progress."""

from django.urls import path

from greetings import views

urlpatterns = [
    path("", views.form, name="form"),
    path("greeting/", views.greeting, name="greeting"),
    path("api/greeting/", views.greeting_json),
]
